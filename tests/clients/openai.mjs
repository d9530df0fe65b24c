// The npm package `openai` as a client: openai.mjs CASE ARGUMENTS-AS-JSON
import { load, pause, retries, run, say, url } from "./case.mjs";

const OpenAI = load("openai").default;
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: retries });
const chat = (body) => client.chat.completions.create(body);

run({
    models: async () => (await client.models.list()).data,
    model: ({ name }) => client.models.retrieve(name),
    chat: ({ body }) => chat(body),
    embed: ({ body }) => client.embeddings.create(body),
    responses: ({ body }) => client.responses.create(body),

    async stream({ body }) {
        let text = "", chunks = 0, finish = null, model = null;
        for await (const chunk of await chat({ ...body, stream: true })) {
            const choice = chunk.choices[0];
            model = chunk.model;
            if (choice?.delta?.content && ++chunks === 1)
                say("first");
            text += choice?.delta?.content ?? "";
            finish = choice?.finish_reason ?? finish;
        }
        return { text, chunks, finish, model };
    },

    async abort({ body }) {
        const stream = await chat({ ...body, stream: true });
        for await (const chunk of stream) {
            if (!chunk.choices[0]?.delta?.content)
                continue;
            say("first");
            await pause();
            stream.controller.abort();
            say("aborted");
            await pause();
            break;
        }
        return stream.controller.signal.aborted;
    },

    // All at once, each to its own preset.
    async many({ bodies }) {
        return Promise.all(bodies.map(chat));
    },
});
