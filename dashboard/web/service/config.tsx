// The settings of a service, and where each came from.
import { useQuery } from "../shell/api";
import { Badge, Card, type Tone } from "../shell/controls";
import { param, setParams } from "../shell/router";
import { Empty, Failure, Loaded } from "../shell/states";
import { Table } from "../shell/table";
import { WhichInstance } from "./which";

interface Setting {
  path: string;
  value: string;
  source: string;
  env: string;
  desc?: string;
}

interface Told {
  instance: string;
  replica?: number;
  report?: { settings: Setting[] };
  error?: string;
}

function tone(source: string): Tone {
  return source === "default" ? "quiet" : source.startsWith("env ") || source.startsWith("flag ") ? "info" : "good";
}

export function Config({ path }: { path: string }) {
  const q = useQuery<{ instances: Told[] }>(path + "/config", {}, ["system"]);
  return (
    <Loaded query={q}>
      {({ instances }) => {
        const one = instances.find((i) => i.instance === param("instance")) ?? instances[0];
        if (!one)
          return (
            <Card>
              <Empty icon="key" title="No instance runs">
                Settings are told by a running instance.
              </Empty>
            </Card>
          );
        return (
          <Card title="Settings" note="secrets are never shown" flush actions={<WhichInstance list={instances} value={one.instance} onChange={(v) => setParams({ instance: v })} />}>
            {one.error ? (
              <Failure error={{ message: "the instance does not tell its settings", advice: one.error }} retry={q.refetch} />
            ) : (
              <Table
                label="settings"
                rows={one.report?.settings ?? []}
                id={(s) => s.path}
                param="settings"
                height={42}
                columns={[
                  { id: "path", title: "Setting", width: "minmax(120px, 1.2fr)", value: (s) => s.path, render: (s) => <code class="ellipsis" title={s.desc}>{s.path}</code> },
                  { id: "value", title: "Value", width: "minmax(90px, 1fr)", value: (s) => s.value, render: (s) => (s.value === "[secret]" ? <Badge>secret</Badge> : s.value === "" ? <span class="quiet-text">empty</span> : <code class="ellipsis" title={s.value}>{s.value}</code>) },
                  { id: "source", title: "From", width: "minmax(80px, 1fr)", value: (s) => s.source, render: (s) => <Badge tone={tone(s.source)} title={s.source}>{s.source}</Badge> },
                  { id: "env", title: "Set it by", width: "minmax(0, 1fr)", narrow: "hide", render: (s) => <code class="ellipsis quiet-text" title={s.env}>{s.env}</code> },
                ]}
                empty={
                  <Empty icon="key" title="It reads no settings">
                    A service that calls its Config method has them here, each with the file and line, variable or flag that it came from.
                  </Empty>
                }
              />
            )}
          </Card>
        );
      }}
    </Loaded>
  );
}
