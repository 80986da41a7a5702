// Overview: what runs, who calls whom, and what is wrong now.
import { Badge, Card, ServiceName } from "../shell/controls";
import { Frame, type Page } from "../shell/page";
import { Empty, Loading } from "../shell/states";
import { health, services, system } from "../shell/system";
import { Table } from "../shell/table";

function Overview() {
  return (
    <Frame title="Overview">
      {!system.value ? (
        <Loading />
      ) : (
        <Card title="Services" flush>
          <Table
            label="services"
            rows={services.value}
            id={(s) => s.name}
            link={(s) => "/services/" + s.name}
            sort="name"
            columns={[
              { id: "name", title: "Service", render: (s) => <ServiceName name={s.name} />, value: (s) => s.name },
              { id: "state", title: "State", render: (s) => <Badge tone={health(s).tone}>{health(s).text}</Badge>, value: (s) => health(s).text },
              { id: "program", title: "Program", render: (s) => <code>{s.program}</code>, value: (s) => s.program, narrow: "hide" },
            ]}
            empty={
              <Empty icon="service" title="No services run yet" command="hanse dev">
                They appear here as soon as they start.
              </Empty>
            }
          />
        </Card>
      )}
    </Frame>
  );
}

export const overview: Page = { title: "Overview", path: /^\/$/, component: Overview, nav: "/", icon: "overview", keys: "g o" };
