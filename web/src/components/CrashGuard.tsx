/** Shows a way out when drawing the page throws, instead of a blank page. */

import { Component, type ReactNode } from "react";
import { errorRing } from "../doctor/error_ring";
import { lookQuietly } from "../doctor/quietly";
import { TextsContext } from "../i18n";

export class CrashGuard extends Component<{ children: ReactNode }, { error: Error | null }> {
  static override contextType = TextsContext;
  declare context: React.ContextType<typeof TextsContext>;
  override state = { error: null as Error | null };

  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error };
  }

  override componentDidCatch(error: Error): void {
    errorRing.noteError(error.message, "page", error.stack ?? "");
    lookQuietly();
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <main className="crash" role="alert">
        <h1>{this.context.crashed}</h1>
        <p>{this.context.crashedFix}</p>
        <pre>{`frontend-js-error: ${error.message}`}</pre>
        <button type="button" onClick={() => location.reload()}>
          {this.context.reload}
        </button>
      </main>
    );
  }
}
