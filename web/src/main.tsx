// errors of everything that follows are kept for the self-test
// oxlint-disable-next-line import/no-unassigned-import
import "./doctor/error_ring";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import "./page.css";

const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
