// What the forms of the console show of the OpenAPI document: fields with their types, bounds and descriptions.

/** Documents with forms: the schema that is sent, and the one that is shown, which has the descriptions. */
const FORMS = { ROUTE: ["RouteToPut", "RouteView"], KEY: ["KeyToPut", "KeyView"] };
const KEPT = ["minimum", "exclusiveMinimum", "maximum", "maxItems"];

/** Returns a schema without references, alternatives of null, and parts of which it is composed. */
function resolved(document, schema) {
  const { $ref, oneOf, allOf, ...own } = schema ?? {};
  if ($ref) return { ...resolved(document, document.components.schemas[$ref.split("/").at(-1)]), ...own };
  if (oneOf)
    return {
      ...resolved(
        document,
        oneOf.find(({ type }) => type !== "null"),
      ),
      ...own,
    };
  if (!allOf) return own;
  const parts = allOf.map((part) => resolved(document, part));
  return {
    ...Object.assign({}, ...parts),
    ...own,
    properties: Object.assign({}, ...parts.map(({ properties }) => properties)),
  };
}

function typeOf(name, { type }) {
  const types = [type].flat().filter((one) => one !== "null");
  // A time is shown in milliseconds, and may be sent as text, too.
  return types.length > 1 && name.endsWith("_at") ? "time" : types[0];
}

function nodeOf(document, name, sent, shown) {
  const [schema, view] = [resolved(document, sent), resolved(document, shown)];
  const node = { type: typeOf(name, schema) };
  const description = view.description ?? schema.description;
  if (description) node.description = description;
  for (const key of KEPT) if (schema[key] !== undefined) node[key] = schema[key];
  if (schema.enum) node.enum = schema.enum.filter((word) => word !== null);
  if (["string", "boolean"].includes(typeof view.default)) node.default = view.default;
  if (schema.items) node.items = nodeOf(document, "", schema.items, view.items);
  if (!schema.properties) return node;
  if (schema.required) node.required = schema.required;
  node.properties = Object.fromEntries(
    Object.entries(schema.properties).map(([key, field]) => [
      key,
      nodeOf(document, key, field, view.properties?.[key]),
    ]),
  );
  return node;
}

/** Returns the text of a module with the forms. */
export function formsOf(document) {
  const { schemas } = document.components;
  const parts = Object.entries(FORMS).map(([name, [sent, shown]]) => {
    const node = nodeOf(document, "", schemas[sent], schemas[shown]);
    return `export const ${name}: FormNode = ${JSON.stringify(node, null, 2)};\n`;
  });
  return `import type { FormNode } from "../forms/schema";\n\n${parts.join("\n")}`;
}
