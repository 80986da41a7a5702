// The tree of a schema's fields, which unfolds.
import { h, icon } from "./dom.js";
import { markdown, inline } from "./markdown.js";
import { choices, typeName } from "./model.js";

/** Renders the fields of a schema; what is not an object is one row without a name. */
export function tree(model, schema, direction) {
  const s = model.resolve(schema);
  if (s.properties) return fields(model, s, direction);
  const rest = { ...s };
  delete rest.description;
  return h("ul.fields", null, row(model, null, rest, false, direction));
}

function fields(model, s, direction) {
  const names = Object.keys(s.properties).filter((n) => {
    const p = s.properties[n];
    return direction === "request" ? !p.readOnly : !p.writeOnly;
  });
  if (!names.length) return h("p.none", null, "No fields.");
  const oneofs = choices(s);
  const groups = new Map();
  const list = h("ul.fields");
  for (const name of names) {
    const item = row(model, name, s.properties[name], s.required?.includes(name), direction);
    const oneof = oneofs.get(name);
    if (!oneof) { list.append(item); continue; }
    let group = groups.get(oneof);
    if (!group) {
      group = h("ul.fields");
      groups.set(oneof, group);
      list.append(h("li.oneof", null, h("div.choose", null, "At most one of ", h("code", null, oneof.title ?? "these")), markdown(oneof.description), group));
    }
    group.append(item);
  }
  return list;
}

function row(model, name, property, required, direction) {
  const s = model.resolve(property);
  const target = unfolds(model, s);
  const head = h("div.head", null,
    name && h("span.name", null, name),
    h("span.type", null, typeName(model, property)),
    required && h("span.mark.required", null, "required"),
    s.readOnly && h("span.mark", null, "read only"),
    s.writeOnly && h("span.mark", null, "write only"),
    s.deprecated && h("span.mark.deprecated", null, "deprecated"));
  const item = h("li.field", null, head, markdown(s.name && property.$ref && !property.description ? "" : s.description), limits(s), values(model, s));
  if (target) {
    const details = h("details", null, h("summary", null, icon("more"), h("span", null, fieldCount(target))));
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) {
        details.append(h("div.inner", null, property.description || s.type === "array" ? markdown(target.description) : markdown(s.description), fields(model, target, direction)));
      }
    });
    item.append(details);
  }
  return item;
}

function fieldCount(s) {
  const n = Object.keys(s.properties).length;
  return `${n} ${n === 1 ? "field" : "fields"} of ${s.title ?? "object"}`;
}

/** Returns the object that a value has within, if its fields are not shown already. */
function unfolds(model, s) {
  for (let at = s; ;) {
    if (at.properties) return at;
    const inner = at.items ?? at.additionalProperties;
    if (!inner || !Object.keys(inner).length) return null;
    at = model.resolve(inner);
  }
}

/** Renders what values must be beyond their type. */
function limits(s) {
  const chips = [];
  const chip = (...text) => chips.push(h("span.chip", null, ...text));
  if (s.minimum !== undefined && s.maximum !== undefined) { if (s.maximum !== 4294967295) chip(`${s.minimum} to ${s.maximum}`); }
  else if (s.minimum !== undefined) chip(`at least ${s.minimum}`);
  else if (s.maximum !== undefined) chip(`at most ${s.maximum}`);
  if (s.exclusiveMinimum !== undefined) chip(`more than ${s.exclusiveMinimum}`);
  if (s.exclusiveMaximum !== undefined) chip(`less than ${s.exclusiveMaximum}`);
  for (const [min, max, unit] of [[s.minLength, s.maxLength, "characters"], [s.minItems, s.maxItems, "items"], [s.minProperties, s.maxProperties, "entries"]]) {
    if (min !== undefined && max !== undefined) chip(min === max ? `${min} ${unit}` : `${min} to ${max} ${unit}`);
    else if (min !== undefined) chip(min === 1 ? "not empty" : `at least ${min} ${unit}`);
    else if (max !== undefined) chip(`at most ${max} ${unit}`);
  }
  if (s.uniqueItems) chip("no duplicates");
  if (s.default !== undefined) chip("default ", h("code", null, JSON.stringify(s.default)));
  if (s.const !== undefined) chip("always ", h("code", null, JSON.stringify(s.const)));
  if (s.pattern && !["^-?[0-9]+$", "^[0-9]+$"].includes(s.pattern) && !s.examples) chip("matches ", h("code", null, s.pattern));
  if (s.examples?.length) chip("such as ", h("code", null, String(s.examples[0])));
  for (const rule of s["x-rules"] ?? []) chip(...inline(rule));
  return chips.length ? h("div.chips", null, chips) : null;
}

/** Renders the values of an enum. */
function values(model, s) {
  const e = s.enum ? s : s.items ? model.resolve(s.items) : s.additionalProperties ? model.resolve(s.additionalProperties) : s;
  if (!e.enum || e.type === "null") return null;
  const texts = e["x-enum-descriptions"] ?? {};
  const item = (v) => h("li", null, h("code", null, String(v)), texts[v] && h("span", null, inline(texts[v])));
  if (e.enum.length <= 4 || Object.keys(texts).length && e.enum.length <= 6) return h("ul.values", null, e.enum.map(item));
  return h("details", null, h("summary", null, icon("more"), h("span", null, `${e.enum.length} values`)), h("ul.values", null, e.enum.map(item)));
}
