/** The messages of a logged request and its answer, whichever of the three APIs they are in. Pure. */

export type Part =
  | { kind: "text"; text: string }
  | { kind: "thinking"; text: string }
  | { kind: "media"; media: string; mime: string; bytes: number | null; source: string }
  | { kind: "call"; name: string; id: string; input: string }
  | { kind: "result"; id: string; text: string; media: Part[] }
  | { kind: "other"; name: string; json: string };

export interface Message {
  role: string;
  parts: Part[];
}

export interface Tool {
  name: string;
  description: string;
  schema: unknown;
}

type Json = Record<string, unknown>;

const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const pretty = (value: unknown): string =>
  typeof value === "string" ? prettyText(value) : (JSON.stringify(value, null, 2) ?? "");

function prettyText(value: string): string {
  try {
    return JSON.stringify(JSON.parse(value), null, 2);
  } catch {
    return value;
  }
}

/** Returns the messages that a request body asks about. */
export function askedMessages(body: unknown): Message[] {
  if (!isJson(body)) return [];
  const messages: Message[] = [];
  const instructions = body.system ?? body.instructions;
  if (instructions !== undefined && instructions !== null)
    messages.push({ role: "system", parts: partsOf(instructions) });
  if (Array.isArray(body.messages)) messages.push(...body.messages.filter(isJson).map(messageOf));
  else if (Array.isArray(body.input))
    messages.push(
      ...body.input.flatMap((item) =>
        typeof item === "string" ? [{ role: "user", parts: partsOf(item) }] : isJson(item) ? [itemOf(item)] : [],
      ),
    );
  else if (body.input !== undefined) messages.push({ role: "user", parts: partsOf(body.input) });
  else if (body.prompt !== undefined) messages.push({ role: "user", parts: partsOf(body.prompt) });
  return messages;
}

/** Returns the messages of an answer body, which is a whole answer or a list of events. */
export function answeredMessages(body: unknown): Message[] {
  if (!isJson(body)) return [];
  if (Array.isArray(body.choices)) {
    return body.choices.filter(isJson).flatMap((choice) => {
      const message = choice.message ?? choice.delta;
      if (isJson(message)) return [messageOf({ role: "assistant", ...message })];
      return typeof choice.text === "string" ? [{ role: "assistant", parts: partsOf(choice.text) }] : [];
    });
  }
  if (Array.isArray(body.output)) return body.output.filter(isJson).map(itemOf);
  if (Array.isArray(body.content)) return [{ role: text(body.role) || "assistant", parts: partsOf(body.content) }];
  return [];
}

/** Returns the tools that a request offers. */
export function offeredTools(body: unknown): Tool[] {
  if (!isJson(body) || !Array.isArray(body.tools)) return [];
  return body.tools.filter(isJson).map((tool) => {
    const inner = isJson(tool.function) ? tool.function : tool;
    return {
      name: text(inner.name) || text(tool.type) || "tool",
      description: text(inner.description),
      schema: inner.parameters ?? inner.input_schema ?? null,
    };
  });
}

/** A message of Chat Completions or Messages. */
function messageOf(message: Json): Message {
  const role = text(message.role) || "unknown";
  const parts: Part[] = [];
  const thinking = message.reasoning_content ?? message.reasoning;
  if (typeof thinking === "string" && thinking !== "") parts.push({ kind: "thinking", text: thinking });
  if (role === "tool") parts.push(resultOf(message.tool_call_id, message.content));
  else if (message.content !== undefined && message.content !== null) parts.push(...partsOf(message.content));
  if (typeof message.refusal === "string") parts.push({ kind: "text", text: message.refusal });
  for (const call of Array.isArray(message.tool_calls) ? message.tool_calls.filter(isJson) : []) {
    const fn = isJson(call.function) ? call.function : isJson(call.custom) ? call.custom : {};
    parts.push({ kind: "call", name: text(fn.name), id: text(call.id), input: pretty(fn.arguments ?? fn.input ?? "") });
  }
  return { role, parts };
}

/** An item of Responses. */
function itemOf(item: Json): Message {
  switch (item.type) {
    case "function_call":
    case "custom_tool_call":
      return {
        role: "assistant",
        parts: [
          {
            kind: "call",
            name: text(item.name),
            id: text(item.call_id),
            input: pretty(item.arguments ?? item.input ?? ""),
          },
        ],
      };
    case "function_call_output":
    case "custom_tool_call_output":
      return { role: "tool", parts: [resultOf(item.call_id, item.output)] };
    case "reasoning": {
      const lists = [item.summary, item.content].filter(Array.isArray).flat().filter(isJson);
      return {
        role: "assistant",
        parts: [{ kind: "thinking", text: lists.map((part) => text(part.text)).join("\n\n") }],
      };
    }
    default:
      if (item.content !== undefined) return messageOf({ role: "user", ...item });
      return {
        role: text(item.role) || "assistant",
        parts: [{ kind: "other", name: text(item.type) || "item", json: pretty(item) }],
      };
  }
}

function resultOf(id: unknown, content: unknown): Part {
  const parts = partsOf(content ?? "");
  const texts = parts.flatMap((part) => (part.kind === "text" ? [part.text] : []));
  return { kind: "result", id: text(id), text: texts.join("\n"), media: parts.filter((part) => part.kind !== "text") };
}

function partsOf(content: unknown): Part[] {
  if (typeof content === "string") return content === "" ? [] : [{ kind: "text", text: content }];
  if (Array.isArray(content)) return content.map(partOf);
  return [{ kind: "other", name: "content", json: pretty(content) }];
}

function partOf(part: unknown): Part {
  if (typeof part === "string") return { kind: "text", text: part };
  if (!isJson(part)) return { kind: "other", name: "part", json: pretty(part) };
  switch (part.type) {
    case "text":
    case "input_text":
    case "output_text":
    case "refusal":
      return { kind: "text", text: text(part.text) || text(part.refusal) };
    case "thinking":
    case "redacted_thinking":
      return { kind: "thinking", text: text(part.thinking) || "(hidden by the provider)" };
    case "tool_use":
    case "server_tool_use":
      return { kind: "call", name: text(part.name), id: text(part.id), input: pretty(part.input ?? {}) };
    case "tool_result":
      return resultOf(part.tool_use_id, part.content);
    case "image_url": {
      const url = isJson(part.image_url) ? text(part.image_url.url) : text(part.image_url);
      return media("image", url);
    }
    case "input_image":
      return media("image", text(part.image_url) || text(part.file_id));
    case "image":
    case "document": {
      const source = isJson(part.source) ? part.source : {};
      if (source.type === "base64")
        return media(part.type, `data:${text(source.media_type)};base64,${text(source.data)}`);
      return media(part.type, text(source.url) || text(source.data));
    }
    case "input_audio":
      return media(
        "audio",
        `data:audio/${isJson(part.input_audio) ? text(part.input_audio.format) : ""};base64,${isJson(part.input_audio) ? text(part.input_audio.data) : ""}`,
      );
    case "file":
    case "input_file": {
      const file = isJson(part.file) ? part.file : part;
      return media("file", text(file.file_data) || text(file.file_url) || text(file.file_id) || text(file.filename));
    }
    default:
      return { kind: "other", name: text(part.type) || "part", json: pretty(part) };
  }
}

function media(kind: string, source: string): Part {
  const match = /^data:([^;,]*)[^,]*,/.exec(source);
  // Three bytes are four characters.
  const bytes = match ? Math.floor(((source.length - match[0].length) * 3) / 4) : null;
  return { kind: "media", media: kind, mime: match?.[1] || kind, bytes, source };
}
