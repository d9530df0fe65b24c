// Google's clients against ocr-pipeline: gemini.mjs CASE ARGUMENTS-AS-JSON. Only the base URL is ours.
import { readFileSync } from "node:fs";
import { load, run, url } from "../clients/case.mjs";

const { GoogleGenAI, Type } = load("@google/genai");
const { GoogleGenerativeAI } = load("@google/generative-ai");
const client = () => new GoogleGenAI({ apiKey: "any", httpOptions: { baseUrl: url } });
const photo = (file) => ({ inlineData: { mimeType: "image/jpeg", data: readFileSync(file).toString("base64") } });
const config = {
    responseMimeType: "application/json",
    temperature: 0,
    responseSchema: {
        type: Type?.OBJECT ?? "OBJECT",
        properties: {
            fabricante: { type: "STRING" }, potencia_kva: { type: "NUMBER" }, numero_serie: { type: "STRING" },
            self_protected: { type: "BOOLEAN", nullable: true },
        },
    },
};
const request = ({ file }) => ({ model: "gemini-2.5-flash", config,
                                 contents: [{ role: "user", parts: [{ text: "Read the plate." }, photo(file)] }] });

run({
    async genai(given) {
        const answer = await client().models.generateContent(request(given));
        return { value: JSON.parse(answer.text), tokens: answer.usageMetadata.totalTokenCount,
                 model: answer.modelVersion };
    },
    async genai_stream(given) {
        let text = "";
        for await (const chunk of await client().models.generateContentStream(request(given)))
            text += chunk.text;
        return JSON.parse(text);
    },
    // Several photos, with words between, and a schema in a schema.
    async genai_shapes({ file }) {
        const parts = [{ text: "PLACA" }, photo(file), { text: "TANQUE" }, photo(file)];
        const responseSchema = {
            type: Type.ARRAY, items: {
                type: Type.OBJECT, properties: {
                    manufacturer: { type: Type.STRING, enum: ["WEG", "Romagnole"] },
                    voltages: { type: Type.OBJECT, properties: { primary_voltage_kv: { type: Type.NUMBER } } },
                    taps: { type: Type.ARRAY, items: { type: Type.STRING } },
                } } };
        const answer = await client().models.generateContent({
            model: "gemini-2.5-flash", contents: [{ role: "user", parts }],
            config: { responseMimeType: "application/json", responseSchema, systemInstruction: "Be exact." } });
        return { value: JSON.parse(answer.text), images: answer.usageMetadata.promptTokensDetails[1].tokenCount / 258 };
    },
    async genai_embed() {
        return await client().models.embedContent({ model: "m", contents: "x" });
    },
    async genai_too_many({ file }) {
        return await client().models.generateContent({ model: "m", contents: Array(31).fill(photo(file)) });
    },
    async genai_count(given) {
        const { model, contents } = request(given);
        return (await client().models.countTokens({ model, contents })).totalTokens;
    },
    async genai_models() {
        const names = [];
        for await (const model of await client().models.list())
            names.push(model.name);
        return names;
    },
    async legacy(given) {
        const model = new GoogleGenerativeAI("any").getGenerativeModel(
            { model: "gemini-1.5-pro", generationConfig: config }, { baseUrl: url });
        return JSON.parse((await model.generateContent(["Read the plate.", photo(given.file)])).response.text());
    },
    async legacy_stream(given) {
        const model = new GoogleGenerativeAI("any").getGenerativeModel(
            { model: "gemini-1.5-pro", generationConfig: config }, { baseUrl: url });
        const { stream, response } = await model.generateContentStream(["Read it.", photo(given.file)]);
        let text = "";
        for await (const chunk of stream)
            text += chunk.text();
        return [text === (await response).text(), JSON.parse(text)];
    },
});
