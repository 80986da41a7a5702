// What a page shows when it has nothing to show.
import type { ComponentChildren } from "preact";
import { Button, Command } from "./controls";
import { Icon, type IconName } from "./icons";
import type { Query } from "./api";
import { system } from "./system";

/** Empty says that there is nothing yet, and holds the next command. */
export function Empty({ icon = "search", title, children, command }: { icon?: IconName; title: string; children?: ComponentChildren; command?: string }) {
  return (
    <div class="empty">
      <Icon name={icon} size={24} />
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {command && <Command line={command} />}
    </div>
  );
}

/** Untold is Empty where the reason may be that no program sends telemetry here: then it holds the variable with which they do. */
export function Untold(props: { icon?: IconName; title: string; children?: ComponentChildren; command?: string }) {
  const to = system.value?.telemetry;
  if (!to) return <Empty {...props} />;
  return (
    <Empty icon={props.icon} title={props.title} command={`export OTEL_EXPORTER_OTLP_ENDPOINT=${to}`}>
      Programs tell it here when they are started with this variable; so do those in other languages.
    </Empty>
  );
}

/** Failure says what went wrong and what to do. */
export function Failure({ error, retry }: { error: { message: string; advice?: string }; retry?: () => void }) {
  return (
    <div class="failure" role="alert">
      <Icon name="bad" />
      <div>
        <strong>{error.message}</strong>
        {error.advice && <p>{error.advice}</p>}
      </div>
      {retry && (
        <Button small icon="restart" onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** Loading holds the place of what comes, and appears only if that takes a while. */
export function Loading({ rows = 4 }: { rows?: number }) {
  return (
    <div class="loading" role="status" aria-label="loading">
      {Array.from({ length: rows }, (_, i) => (
        <span key={i} />
      ))}
    </div>
  );
}

/** Loaded shows the answer of a query, or what there is of it: the first answer is waited for, an error stands above the last one. */
export function Loaded<T>({ query, children, rows }: { query: Query<T>; children: (data: T) => ComponentChildren; rows?: number }) {
  const data = query.data.value;
  const error = query.error.value;
  return (
    <>
      {error && <Failure error={error} retry={query.refetch} />}
      {data !== undefined ? children(data) : !error && <Loading rows={rows} />}
    </>
  );
}
