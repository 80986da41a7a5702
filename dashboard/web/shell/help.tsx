// What the keyboard does here.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Button } from "./controls";
import { known } from "./keys";
import { Keys } from "./palette";

/** helpOpen: the help is there. */
export const helpOpen = signal(false);

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = helpOpen.value;
  useEffect(() => {
    const d = dialog.current!;
    if (open && !d.open) d.showModal();
    else if (!open && d.open) d.close();
  }, [open]);
  return (
    <dialog ref={dialog} class="help" aria-label="keyboard" onClose={() => (helpOpen.value = false)} onClick={(e) => e.target === dialog.current && (helpOpen.value = false)}>
      {open && (
        <div class="help-box">
          <header>
            <h2>Keyboard</h2>
            <Button icon="close" label="close" tone="ghost" onClick={() => (helpOpen.value = false)} />
          </header>
          <div class="help-groups">
            {[...known()].map(([group, keys]) => (
              <section key={group}>
                <h3>{group}</h3>
                <dl>
                  {keys.map((k) => (
                    <div key={k.keys}>
                      <dt>{k.what}</dt>
                      <dd>
                        <Keys keys={k.keys} />
                      </dd>
                    </div>
                  ))}
                </dl>
              </section>
            ))}
          </div>
        </div>
      )}
    </dialog>
  );
}
