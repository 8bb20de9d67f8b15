// node scenario.cjs NAME: the scenario with everything required.
const { PACKAGES } = require('../packages.cjs');
const { report } = require('../work.cjs');

const required = Object.entries(PACKAGES).map(([name, specifier]) => [name, require(specifier)]);
const { run } = require(`../scenarios/${process.argv[2]}.cjs`);
run(Object.fromEntries(required)).then(report);
