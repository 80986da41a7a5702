import { render } from "preact";
import "./shell/tokens.css";
import "./shell/shell.css";
import "./shell/parts.css";
import { Layout } from "./shell/layout";
import { connect } from "./shell/live";

render(<Layout />, document.getElementById("app")!);
connect();
