// Makes values that fit a schema.
import { choices } from "./model.js";

/** Returns a value for a schema. For a request it is empty where it may be, for an answer it shows what there is. */
export function example(model, schema, request, depth = 0, within = []) {
  const s = model.resolve(schema);
  if (s.default !== undefined) return s.default;
  if (s.examples?.length) return s.examples[0];
  if (s.enum) return s.enum.find((v) => !String(v).endsWith("_UNSPECIFIED")) ?? s.enum[0];
  const type = [s.type ?? []].flat()[0];
  switch (type) {
    case "object": {
      const value = {};
      if (!s.properties) {
        if (!request && s.additionalProperties && Object.keys(s.additionalProperties).length) value.key = example(model, s.additionalProperties, request, depth + 1, within);
        return value;
      }
      if (s.name && within.includes(s.name)) return value;
      const inner = s.name ? [...within, s.name] : within;
      const taken = new Set();
      const oneofs = choices(s);
      for (const [name, property] of Object.entries(s.properties)) {
        const p = model.resolve(property);
        if (request ? p.readOnly : p.writeOnly) continue;
        if (p.deprecated && !s.required?.includes(name)) continue;
        const oneof = oneofs.get(name);
        if (oneof && taken.has(oneof)) continue;
        taken.add(oneof);
        const nested = [p.type].flat()[0] === "object" || [p.type].flat()[0] === "array";
        if (nested && (depth >= 3 || within.length && p.name && inner.includes(p.name)) && !s.required?.includes(name)) continue;
        if (p.type === "array" && inner.includes(model.resolve(p.items).name)) continue;
        value[name] = example(model, property, request, depth + 1, inner);
      }
      return value;
    }
    case "array":
      return depth > 4 ? [] : [example(model, s.items, request, depth + 1, within)];
    case "integer":
    case "number":
      return Math.max(s.minimum ?? 0, s.exclusiveMinimum !== undefined ? s.exclusiveMinimum + 1 : 0);
    case "boolean":
      return false;
    case "null":
      return null;
    case "string":
      if (s.format === "date-time") return "2026-01-31T12:00:00Z";
      if (s.format === "int64" || s.format === "uint64") return "0";
      if (s.format === "field-mask") return "";
      if (s.format === "uuid") return "6d2a3a52-5f9e-4a4f-9c79-0d8f0b6c1e11";
      if (s.format === "email") return "ada@example.com";
      if (s.contentEncoding) return "";
      return request ? "" : "string";
  }
  return request ? {} : null;
}
