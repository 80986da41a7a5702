// Parts of a page that are not made anew while what they show is the same.
import { Component, type ComponentChildren, type ComponentClass } from "preact";

/** memo is a component that is rendered again only when one of its props has another value. It is for rows, of which a scroll leaves most. */
export function memo<P extends object>(render: (props: P) => ComponentChildren): ComponentClass<P> {
  return class extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>, state: unknown): boolean {
      const now = this.props as Readonly<P>;
      return state !== this.state || (Object.keys(next) as (keyof P)[]).some((k) => next[k] !== now[k]);
    }
    override render(): ComponentChildren {
      return render(this.props as Readonly<P>);
    }
  };
}
