// One service: its instances and what is known of each.
import { Badge, Card, ServiceName } from "../shell/controls";
import { ago } from "../shell/format";
import { Frame, type Page } from "../shell/page";
import { Empty, Loading } from "../shell/states";
import { services, system } from "../shell/system";
import { Table } from "../shell/table";

function Service({ args: [name = ""] }: { args: string[] }) {
  const s = services.value.find((one) => one.name === name);
  return (
    <Frame title={<ServiceName name={name} link={false} />} note={s?.program}>
      {!system.value ? (
        <Loading />
      ) : !s ? (
        <Empty icon="service" title={`There is no service ${name}`} command="hanse ps">
          It may have another name, or none of its instances runs.
        </Empty>
      ) : (
        <Card title="Instances" flush>
          <Table
            label="instances"
            rows={s.instances}
            id={(i) => i.id}
            columns={[
              { id: "id", title: "Instance", render: (i) => <code class="ellipsis">{i.id}</code> },
              { id: "state", title: "State", render: (i) => <Badge tone={i.state === "ready" ? "good" : i.state === "failed" ? "bad" : "warn"}>{i.state}</Badge> },
              { id: "started", title: "Started", render: (i) => (i.started ? ago(i.started) : "–"), narrow: "hide" },
            ]}
          />
        </Card>
      )}
    </Frame>
  );
}

export const service: Page = { title: "Service", path: /^\/services\/([^/]+)$/, component: Service };
