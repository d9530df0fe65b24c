// The npm package `@anthropic-ai/sdk` as a client: anthropic.mjs CASE ARGUMENTS-AS-JSON
import { load, pause, retries, run, say, url } from "./case.mjs";

const Anthropic = load("@anthropic-ai/sdk").default;
const authToken = process.env.ANCALAGON_TOKEN || null;
const client = new Anthropic({ baseURL: url, apiKey: authToken ? null : "none", authToken,
                               maxRetries: retries });

run({
    models: async () => (await client.models.list()).data,
    create: ({ body }) => client.messages.create(body),
    count: ({ body }) => client.messages.countTokens(body),

    async stream({ body }) {
        const events = [];
        const stream = client.messages.stream(body);
        let told = false;
        stream.on("streamEvent", (event) => {
            events.push(event.type);
            if (event.type === "content_block_delta" && !told) {
                told = true;
                say("first");
            }
        });
        const message = await stream.finalMessage();
        return { message, events };
    },

    // Several in one process: the final message of each, or the error that the library threw.
    async all({ bodies }) {
        const results = [];
        for (const body of bodies) {
            const asked = body.stream ? client.messages.stream(body).finalMessage()
                                      : client.messages.create(body);
            results.push(await asked.then((message) => ({ message }),
                (error) => ({ error: { message: error.message, type: error.type } })));
        }
        return results;
    },

    async abort({ body }) {
        const stream = client.messages.stream(body);
        let told = false;
        stream.on("text", async () => {
            if (told)
                return;
            told = true;
            say("first");
            await pause();
            stream.abort();
            say("aborted");
        });
        await stream.done().catch(() => {});
        await pause();
        return stream.controller.signal.aborted;
    },
});
