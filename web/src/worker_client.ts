/** Registers the service worker, and tells when it has brought a newer page than the one that is open. */

import { useEffect, useState } from "react";

const LOOK_EVERY_MS = 3_600_000;

/** True as soon as a newer build is there. Without HTTPS, but for localhost, there is no worker. */
export function useFreshPage(): boolean {
  const [isFresh, setIsFresh] = useState(false);
  useEffect(() => {
    const { serviceWorker: workers } = navigator;
    if (!import.meta.env.PROD || !workers) return undefined;
    const hadWorker = workers.controller !== null;
    const changed = (): void => setIsFresh(hadWorker);
    workers.addEventListener("controllerchange", changed);
    // without it the page works all the same, but not without its server
    const registered = workers.register("/sw.js", { updateViaCache: "none" }).catch(() => undefined);
    const look = setInterval(() => void registered.then((it) => it?.update()).catch(() => undefined), LOOK_EVERY_MS);
    return () => {
      workers.removeEventListener("controllerchange", changed);
      clearInterval(look);
    };
  }, []);
  return isFresh;
}
