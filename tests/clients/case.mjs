// What the client scripts share: a case is named on the command line with its arguments as JSON, and
// tells what happens as one JSON object a line. The argument `retries` is the client's own setting.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

export const url = process.env.ANCALAGON_URL;
export const load = createRequire(`${process.env.ANCALAGON_NPM}/package.json`);

const [name, text] = process.argv.slice(2);
const { retries = 0, ...given } = JSON.parse(text);
export { retries };

export function say(event, more = {}) {
    process.stdout.write(JSON.stringify({ event, ...more }) + "\n");
}

// Waits for a line on stdin: the test has done its part.
export function pause() {
    return new Promise((resolve) => {
        const lines = createInterface({ input: process.stdin });
        lines.once("line", () => {
            lines.close();
            resolve();
        });
    });
}

// An error with the names of all its classes, so that the test can ask what it is an instance of.
function describe(error) {
    const classes = [];
    for (let type = error.constructor; type && type.name; type = Object.getPrototypeOf(type))
        classes.push(type.name);
    return { classes, status: error.status, message: error.message, body: error.error,
             code: error.code, type: error.type };
}

export async function run(cases) {
    try {
        say("done", { result: await cases[name](given) });
    } catch (error) {
        say("error", describe(error));
    }
    process.stdin.destroy();
}
