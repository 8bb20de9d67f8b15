/** That of package.json: a test compares them. Neither module format may import JSON in the same way. */
export const VERSION = '0.1.0';
