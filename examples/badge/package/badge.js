module.exports = require("./build/badge.json");
