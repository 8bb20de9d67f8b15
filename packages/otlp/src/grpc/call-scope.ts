export { CallScope, orAborted } from '../call-scope.js';
