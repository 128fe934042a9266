/** The page's examination of itself, run when the panel opens and again on demand. Draws nothing. */

import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { isWrong, type Finding } from "./findings";
import { firstAid, type FirstAid } from "./first_aid";
import type { ProbeName } from "./probes";
import { post, PROBE_NAMES, selfTest } from "./selftest";

export interface Probed {
  check: ProbeName;
  finding: Finding | null; // null: running
}

export interface SelfTesting {
  probed: readonly Probed[];
  isRunning: boolean;
  aid: FirstAid | undefined;
  isBack: boolean; // what was wrong with the way to the server is over
  run: () => Promise<readonly Finding[]>;
  /** What the latest run found, when it is done; at once when it took too long. */
  settled: () => Promise<readonly Finding[]>;
  forgive: () => void;
}

const LOOK_MS = 3_000;
const FRESH_MS = 20_000; // for so long what was found still holds
const PATIENCE_MS = 8_000; // a proxy that holds streams slows its own measurement

export function useSelfTest(): SelfTesting {
  const [found, setFound] = useState<ReadonlyMap<string, Finding | null>>(new Map());
  const [isRunning, setIsRunning] = useState(false);
  const [isBack, setIsBack] = useState(false);
  const latest = useRef<Promise<readonly Finding[]>>(Promise.resolve([]));
  const began = useRef(-Infinity);
  const note = useCallback(
    (check: string, finding: Finding | null) => setFound((old) => new Map(old).set(check, finding)),
    [],
  );
  const run = useCallback(() => {
    began.current = performance.now();
    setIsRunning(true);
    setIsBack(false);
    const onFound = (finding: Finding): void => note(finding.check, finding);
    const running = selfTest({ onBegin: (check) => note(check, null), onFound }).then(async (findings) => {
      setIsRunning(false);
      await post(findings);
      return findings;
    });
    latest.current = running;
    return running;
  }, [note]);
  const settled = useCallback(() => {
    if (performance.now() - began.current > FRESH_MS) void run();
    const late = new Promise<readonly Finding[]>((resolve) => setTimeout(resolve, PATIENCE_MS, []));
    return Promise.race([latest.current, late]);
  }, [run]);
  const aid = useMemo(() => firstAid([...found.values()].filter((it) => it !== null), location), [found]);
  const awaited = aid?.probe;
  useEffect(() => {
    if (awaited === undefined) return undefined;
    const timer = setInterval(() => {
      void selfTest({ only: [awaited] }).then((findings) => {
        if (findings.some(isWrong)) return undefined;
        return run().then((all) => setIsBack(!all.some(isWrong)));
      });
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, [awaited, run]);
  const probed = PROBE_NAMES.filter((it) => found.has(it)).map((check) => ({ check, finding: found.get(check) ?? null }));
  return { probed, isRunning, aid, isBack, run, settled, forgive: useCallback(() => setIsBack(false), []) };
}

/** While a person repairs something that only a browser sees, the server is told what is seen now. */
export function useBrowserWatch(checks: readonly string[], isWatching: boolean): void {
  const only = PROBE_NAMES.filter((it) => checks.includes(it)).join(" ");
  useEffect(() => {
    if (!isWatching || only === "") return undefined;
    const look = (): void => void selfTest({ only: only.split(" ") as ProbeName[] }).then((it) => post(it));
    look();
    const timer = setInterval(look, LOOK_MS);
    return () => clearInterval(timer);
  }, [isWatching, only]);
}
