/** The address of what is shown: #/c/ID for a conversation, #/ for a new one. Knows no conversation. */

import { useEffect, useRef } from "react";

const PLACE = /^#\/c\/([A-Za-z0-9_-]{1,64})$/;

export function placeOf(id: string | null): string {
  return id === null ? "#/" : `#/c/${id}`;
}

/** null: the address names no conversation. */
export function idIn(hash: string): string | null {
  return PLACE.exec(hash)?.[1] ?? null;
}

/** Keeps the address and what is shown together: a link opens, opening makes a link, Back goes back. */
export function usePlace(currentId: string | null, isLoaded: boolean, visit: (id: string | null) => void): void {
  const told = useRef<string | null>(null); // what address and page agree on
  const shown = useRef(currentId);
  useEffect(() => {
    if (!isLoaded) return undefined;
    const follow = (): void => {
      if (location.hash.startsWith("#/doctor")) return; // the panel beside the chat, which stays as it is
      const id = idIn(location.hash);
      if (id === told.current) return;
      told.current = id;
      visit(id);
    };
    follow();
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, [isLoaded, visit]);
  useEffect(() => {
    if (!isLoaded || currentId === shown.current) return; // the address it was opened with comes first
    shown.current = currentId;
    if (currentId === told.current) return;
    told.current = currentId;
    history.pushState(null, "", placeOf(currentId));
  }, [currentId, isLoaded]);
}
