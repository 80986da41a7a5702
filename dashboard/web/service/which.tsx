import { Segments } from "../shell/controls";

/** WhichInstance chooses one of several. */
export function WhichInstance({ list, value, onChange }: { list: { instance: string; replica?: number }[]; value: string; onChange: (v: string) => void }) {
  if (list.length < 2) return null;
  return <Segments label="instance" value={value} options={list.map((i) => ({ value: i.instance, text: i.replica ? `#${i.replica}` : i.instance.slice(0, 8) }))} onChange={onChange} />;
}
