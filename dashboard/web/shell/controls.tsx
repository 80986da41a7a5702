// Small controls that all pages use.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { hue, tint } from "./color";
import { Icon, type IconName } from "./icons";
import { useKeys } from "./keys";
import { href } from "./router";
import { say } from "./toast";

export type Tone = "good" | "warn" | "bad" | "info" | "quiet";

/** Badge is a short word with a meaning: a state, a status, a level. */
export function Badge({ tone = "quiet", children, title }: { tone?: Tone; children: ComponentChildren; title?: string }) {
  return (
    <span class={`badge ${tone}`} title={title}>
      {children}
    </span>
  );
}

/** Dot is a state as a coloured point. The label is for those who do not see it. */
export function Dot({ tone, label }: { tone: Tone; label: string }) {
  return <span class={`dot ${tone}`} role="img" aria-label={label} title={label} />;
}

/** ServiceName is the name of a service with its colour, and a link to its page. */
export function ServiceName({ name, link = true }: { name: string; link?: boolean }) {
  const inner = (
    <>
      <span class="swatch" style={tint(name)} data-hue={hue(name)} />
      <span class="ellipsis">{name}</span>
    </>
  );
  return link ? (
    <a class="service-name" href={href("/services/" + encodeURIComponent(name))}>
      {inner}
    </a>
  ) : (
    <span class="service-name">{inner}</span>
  );
}

type ButtonProps = Omit<JSX.IntrinsicElements["button"], "icon"> & {
  icon?: IconName;
  label?: string; // the accessible name where the button has no text
  tone?: "primary" | "plain" | "danger" | "ghost";
  small?: boolean;
  pressed?: boolean;
};

/** Button is a button. One with an icon alone needs a label. */
export function Button({ icon, label, tone = "plain", small, pressed, children, class: extra, ...rest }: ButtonProps) {
  return (
    <button type="button" class={`button ${tone}${small ? " small" : ""}${children ? "" : " square"} ${extra ?? ""}`} aria-label={label} title={label} aria-pressed={pressed} {...rest}>
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

/** Segments is a choice among few. */
export function Segments<T extends string>({ label, value, options, onChange }: { label: string; value: T; options: { value: T; text: ComponentChildren; title?: string }[]; onChange: (v: T) => void }) {
  return (
    <div class="segments" role="group" aria-label={label}>
      {options.map((o) => (
        <button type="button" key={o.value} aria-pressed={o.value === value} title={o.title} onClick={() => onChange(o.value)}>
          {o.text}
        </button>
      ))}
    </div>
  );
}

/** Select is a choice among many. */
export function Select({ label, value, options, onChange }: { label: string; value: string; options: { value: string; text: string }[]; onChange: (v: string) => void }) {
  return (
    <span class="select">
      <select aria-label={label} value={value} onChange={(e) => onChange(e.currentTarget.value)}>
        {options.map((o) => (
          <option key={o.value} value={o.value}>
            {o.text}
          </option>
        ))}
      </select>
      <Icon name="down" size={12} />
    </span>
  );
}

type SearchProps = {
  value: string;
  onChange: (v: string) => void;
  label: string;
  placeholder?: string;
  error?: string;
  delay?: number; // milliseconds without a key before onChange is called; 0: at once
  suggestions?: (text: string) => string[] | Promise<string[]>; // for the word at the end
};

/** Search is a field to search in. "/" goes there, Escape leaves it. */
export function Search({ value, onChange, label, placeholder, error, delay = 200, suggestions }: SearchProps) {
  const [text, setText] = useState(value);
  const [offers, setOffers] = useState<string[]>([]);
  const [at, setAt] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const timer = useRef(0);
  const sent = useRef(value);
  const offered = useRef<string[]>([]);
  const asked = useRef(0); // counts what suggestions were asked for: only the last answer counts
  useEffect(() => {
    if (value !== sent.current) setText((sent.current = value));
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  useKeys([{ keys: "/", what: "search", group: "This page", run: () => (input.current?.focus(), input.current?.select()) }]);
  const send = (v: string) => {
    clearTimeout(timer.current);
    sent.current = v;
    onChange(v);
  };
  const offer = (list: string[]) => {
    if (list.join("\n") !== offered.current.join("\n")) setAt(-1); // else what was chosen stays so
    setOffers((offered.current = list));
  };
  const ask = (v: string) => {
    const now = ++asked.current;
    if (suggestions) void Promise.resolve(suggestions(v)).then((list) => now === asked.current && offer(list.filter((o) => o !== /\S*$/.exec(v)![0]).slice(0, 12)));
  };
  const withdraw = () => {
    asked.current++;
    offer([]);
  };
  const type = (v: string) => {
    setText(v);
    clearTimeout(timer.current);
    if (delay === 0) send(v);
    else timer.current = window.setTimeout(() => send(v), delay);
    ask(v);
  };
  const take = (one: string) => {
    withdraw();
    type(text.replace(/\S*$/, "") + one);
    input.current?.focus();
  };
  return (
    <div class={`search${error ? " wrong" : ""}`}>
      <Icon name="search" size={14} />
      <input
        ref={input}
        type="search"
        aria-label={label}
        aria-invalid={!!error}
        placeholder={placeholder ?? label}
        autocomplete="off"
        spellcheck={false}
        value={text}
        onInput={(e) => type(e.currentTarget.value)}
        onFocus={() => ask(text)}
        onBlur={() => setTimeout(withdraw, 150)}
        onKeyDown={(e) => {
          if (offers.length && (e.key === "ArrowDown" || e.key === "ArrowUp")) {
            e.preventDefault();
            setAt((at + (e.key === "ArrowDown" ? 1 : offers.length)) % offers.length);
          } else if ((e.key === "Enter" || e.key === "Tab") && at >= 0 && offers[at]) {
            e.preventDefault();
            take(offers[at]);
          } else if (e.key === "Enter") (withdraw(), send(text));
          else if (e.key === "Escape") {
            e.stopPropagation();
            if (offers.length) withdraw();
            else if (text) type("");
            else input.current?.blur();
          }
        }}
      />
      {!text && <kbd aria-hidden="true">/</kbd>}
      {error && (
        <div class="search-error" role="alert">
          {error}
        </div>
      )}
      {offers.length > 0 && (
        <ul class="offers" role="listbox" aria-label="suggestions">
          {offers.map((o, i) => (
            <li key={o} role="option" aria-selected={i === at} onMouseDown={(e) => (e.preventDefault(), take(o))}>
              {o}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** Copy is a button that copies a text. */
export function Copy({ text, label = "copy" }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  return (
    <Button
      small
      tone="ghost"
      icon={done ? "good" : "copy"}
      label={done ? "copied" : label}
      onClick={() =>
        void navigator.clipboard.writeText(text).then(
          () => (setDone(true), setTimeout(() => setDone(false), 1500)),
          () => say("nothing was copied: the browser does not allow it", true, "mark the text and copy it by hand"),
        )
      }
    />
  );
}

/** Command is a line for the shell, with a button that copies it. */
export function Command({ line }: { line: string }) {
  return (
    <span class="command">
      <code>{line}</code>
      <Copy text={line} label={`copy ${line}`} />
    </span>
  );
}

/** Stat is a number with its name. */
export function Stat({ label, value, tone, note }: { label: string; value: ComponentChildren; tone?: Tone; note?: ComponentChildren }) {
  return (
    <div class={`stat ${tone ?? ""}`}>
      <dt>{label}</dt>
      <dd>
        {value}
        {note && <small>{note}</small>}
      </dd>
    </div>
  );
}

/** Card is a part of a page with a heading. */
export function Card({ title, note, actions, children, flush }: { title?: ComponentChildren; note?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren; flush?: boolean }) {
  return (
    <section class={`card${flush ? " flush" : ""}`}>
      {title && (
        <header>
          <h2>{title}</h2>
          {note && <span class="note">{note}</span>}
          <span class="grow" />
          {actions}
        </header>
      )}
      {children}
    </section>
  );
}
