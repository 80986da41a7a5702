// The document as the page needs it: services with methods, each with its routes.

export class Model {
  constructor(doc) {
    this.doc = doc;
    this.services = (doc.tags ?? []).map((tag) => ({ name: tag.name, short: tag.name.split(".").pop(), text: tag.description ?? "", methods: [] }));
    this.methods = new Map();
    const service = new Map(this.services.map((s) => [s.name, s]));
    for (const [path, item] of Object.entries(doc.paths)) {
      for (const [verb, op] of operations(item)) {
        const id = op["x-hanse"].method;
        let method = this.methods.get(id);
        if (!method) {
          const [, owner, name] = id.split("/");
          method = { id, name, service: service.get(owner), routes: [], text: op.description ?? "", summary: op.summary ?? "", deprecated: op.deprecated, stream: op["x-hanse"].stream ?? "", idempotency: op["x-hanse"].idempotency ?? "" };
          this.methods.set(id, method);
          method.service.methods.push(method);
        }
        method.routes.push({ path, verb, op, method, rest: op["x-hanse"].route === "rest" });
      }
    }
    // Default routes stand in the order in which methods are declared; a path of REST stands where its first method does.
    const declared = new Map(Object.keys(doc.paths).map((path, i) => [path, i]));
    for (const s of this.services) s.methods.sort((a, b) => declared.get(a.id) - declared.get(b.id));
    const order = { POST: 0, GET: 1 };
    for (const m of this.methods.values()) {
      m.routes.sort((a, b) => b.rest - a.rest || (a.rest ? 0 : order[a.verb] - order[b.verb]));
    }
  }

  /** Follows a reference: the schema, with the name of what it refers to as name. */
  resolve(schema = {}) {
    let name;
    while (schema.$ref) {
      const { $ref, ...beside } = schema;
      name = $ref.slice($ref.lastIndexOf("/") + 1);
      schema = { ...this.doc.components.schemas[name], ...beside };
    }
    return name ? { ...schema, name } : schema;
  }

  response(r) {
    return r.$ref ? this.doc.components.responses[r.$ref.slice(r.$ref.lastIndexOf("/") + 1)] : r;
  }
}

function* operations(item) {
  for (const verb of ["get", "post", "put", "patch", "delete", "head", "options", "trace"]) {
    if (item[verb]) yield [verb.toUpperCase(), item[verb]];
  }
  yield* Object.entries(item["x-additionalOperations"] ?? {});
}

/** Returns the one media type of a content and its schema. */
export function media(content) {
  const type = Object.keys(content ?? {})[0];
  return type ? { type, schema: content[type].schema ?? {} } : null;
}

/** Returns what a type is called. */
export function typeName(model, schema) {
  const s = model.resolve(schema);
  const types = [s.type ?? []].flat();
  const type = types.find((t) => t !== "null");
  if (s.enum && s.name) return s.title ?? s.name;
  if (type === "array") return "list of " + typeName(model, s.items);
  if (type === "object" && !s.properties && s.additionalProperties) {
    return Object.keys(s.additionalProperties).length ? "map of " + typeName(model, s.additionalProperties) : "any object";
  }
  if (type === "object") return s.title ?? "object";
  if (s.contentEncoding === "base64") return "bytes";
  if (s.format) return s.format;
  if (s.pattern?.endsWith("s$")) return "duration";
  return type ?? (types.length ? "null" : "any");
}

/** Returns the fields that belong to a oneof: a map from field to the oneof's name. */
export function choices(schema) {
  const of = new Map();
  for (const part of schema.allOf ?? []) {
    for (const option of part.oneOf ?? []) if (option.required) of.set(option.required[0], part);
  }
  return of;
}
