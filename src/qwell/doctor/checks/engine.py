"""The worker and its engine: alive, loaded, as fast as recorded, sized for this machine.

Asks the server; a second engine is only started, in a child, by the deep checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qwell.doctor import baseline
from qwell.doctor.checks.host import LOCAL
from qwell.doctor.finding import Facts, Outcome, check, failed, passed, skipped, warned
from qwell.doctor.frozen import process_state, silent_s, why_frozen
from qwell.doctor.load_sample import N_TOKENS, LoadSample, load_sample, take
from qwell.doctor.model_files import header_of as head_of
from qwell.doctor.model_files import headers, packs
from qwell.doctor.weight_header import Header

if TYPE_CHECKING:
    from qwell.doctor.system import System

SERVED = ("api.server",)
READY = ("engine.loaded",)
_LOAD_LIMIT_S = 600.0
_LATELY_S, _OFTEN, _JUST_NOW_S = 600.0, 3, 30.0
_BEAT_S = 2.0  # the worker tells how it is doing at least this often
_SLOW, _LATE = 0.35, 4.0  # times the recorded speed, times the recorded first token
_NOTICEABLE_S = 0.05  # lost on one sample


def worker(system: System) -> dict[str, Any]:
    """What the server says of its worker; empty when no server of ours answers."""
    found = system.facts.get("worker", {})
    return found if isinstance(found, dict) else {}


def served(system: System) -> dict[str, Any]:
    """What is really served."""
    found = worker(system).get("model") or {}
    return found if isinstance(found, dict) else {}


def _error(system: System) -> dict[str, Any]:
    return worker(system).get("error") or {}


@check("engine.worker", layer="engine", needs=SERVED)
def worker_alive(system: System) -> Outcome:
    """The worker process lives."""
    found = worker(system)
    fault = str(_error(system).get("fault", ""))
    facts: Facts = {"restarts": int(found.get("restarts", 0)), "fault": fault}
    has_died = found.get("phase") == "restarting" or fault in ("worker-crashed", "oom-killed")
    if has_died and found.get("phase") != "ready":
        said = str(_error(system).get("found", ""))
        return failed("the worker process ended", "worker status", **facts, found=said)
    return passed("worker status", **facts)


@check("engine.responsive", layer="engine", needs=SERVED)
def responsive(system: System) -> Outcome:
    """The worker is not stopped or frozen: it reports how it is doing."""
    facts: Facts = {
        "pid": int(worker(system).get("pid") or 0),
        "state": process_state(system),
        "silent_s": silent_s(system),
    }
    why = why_frozen(system)
    return failed(why, "worker status", **facts) if why else passed("worker status", **facts)


@check("engine.stable", layer="engine", needs=SERVED)
def stable(system: System) -> Outcome:
    """The worker has not ended lately, however quickly it was replaced."""
    deaths = [death for death in worker(system).get("deaths", []) if isinstance(death, dict)]
    late = [death for death in deaths if float(death.get("ago_s", 0)) < _LATELY_S]
    facts: Facts = {"deaths": len(late), "restarts": int(worker(system).get("restarts", 0))}
    if not late:
        return passed("server", **facts)
    newest = min(late, key=lambda death: float(death.get("ago_s", 0)))
    facts |= {"fault": str(newest.get("fault", "")), "found": str(newest.get("found", ""))}
    if len(late) >= _OFTEN:
        return failed("the worker ends again and again", "server", **facts)
    if float(newest.get("ago_s", 0)) < _JUST_NOW_S:
        return warned("the worker ended a moment ago", "server", **facts)
    return passed("server", **facts)


@check("engine.instructions", layer="engine", needs=SERVED)
def instructions(system: System) -> Outcome:
    """The worker was not ended by an instruction that this CPU lacks."""
    if _error(system).get("fault") == "cpu-illegal-instruction":
        found = str(_error(system).get("found", ""))
        return failed("an instruction is unknown to the CPU", "worker status", found=found)
    return passed("worker status", isa=str(served(system).get("isa", "")))


@check("engine.accepts_model", layer="engine", needs=SERVED)
def accepts_model(system: System) -> Outcome:
    """The worker did not refuse to load; its reason is a fault by name."""
    error = _error(system)
    if worker(system).get("phase") == "failed" and error:
        facts: Facts = {"fault": str(error.get("fault", "")), "found": str(error.get("found", ""))}
        return failed("the worker could not load", "worker status", **facts)
    return passed("worker status")


@check("engine.loaded", layer="engine", needs=("engine.worker", "engine.accepts_model"))
def loaded(system: System) -> Outcome:
    """The model is loaded."""
    found = worker(system)
    facts: Facts = {
        "phase": str(found.get("phase", "")),
        "progress": float(found.get("progress", 0)),
    }
    if found.get("phase") in ("starting", "loading"):
        return warned("the model is still loading", "worker status", **facts)
    if found.get("phase") == "idle":
        return skipped("the model was unloaded on purpose: nobody asked for a while")
    if found.get("phase") != "ready":
        return skipped(f"the worker is {facts['phase'] or 'unknown'}", "worker status", **facts)
    return passed("worker status", **facts)


@check("engine.load_time", layer="engine", needs=SERVED)
def load_time(system: System) -> Outcome:
    """Loading does not take for ever."""
    found = worker(system)
    seconds = float(found.get("phase_s", 0))
    if found.get("phase") in ("starting", "loading") and seconds > _LOAD_LIMIT_S:
        stage = str(found.get("stage", ""))
        return failed("loading takes too long", "worker status", seconds=seconds, stage=stage)
    return passed("worker status", seconds=seconds)


# ---- sizes


def _threads(system: System) -> int:
    """As served, else as set; 0: decided by the program."""
    return int(served(system).get("n_threads") or system.settings.threads or 0)


def _usable(system: System) -> float:
    """CPUs' worth of time that the worker may use."""
    quota = system.cgroup(worker(system).get("pid")).cpu_quota()
    cpus = system.usable_cpus()
    return cpus if quota is None else min(cpus, quota)


@check("engine.threads", layer="engine", needs=LOCAL)
def threads(system: System) -> Outcome:
    """No more compute threads than CPUs that may be used."""
    n, usable = _threads(system), _usable(system)
    facts: Facts = {"threads": n, "cpus": round(usable, 2)}
    if usable < 1:
        why = "too little for one thread: see container.cpu_throttling"
        return skipped(why, "threads against cpu.max", **facts)
    if n > usable:
        return failed("more threads than CPUs", "threads against cpu.max", **facts)
    return passed("threads against cpu.max", **facts)


@check("engine.threads_few", layer="engine", needs=LOCAL)
def threads_few(system: System) -> Outcome:
    """Not less than half of the cores work."""
    n, cores = _threads(system), min(_usable(system), _cores(system))
    facts: Facts = {"threads": n, "cores": round(cores, 2)}
    if n and cores >= 2 and n <= cores / 2:
        return failed("cores stand idle", "threads against topology", **facts)
    return passed("threads against topology", **facts)


def _cores(system: System) -> int:
    """Physical cores; a CPU of unknown topology counts as one."""
    names = "sys/devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list"
    found = [system.kernel(str(p.relative_to(system.root))) for p in system.kernel_glob(names)]
    return len(set(found)) or system.usable_cpus()


@check("engine.omp_threads", layer="engine", needs=LOCAL)
def omp_threads(system: System) -> Outcome:
    """OMP_NUM_THREADS, where set, fits the CPUs."""
    text = system.environ.get("OMP_NUM_THREADS", "")
    usable = _usable(system)
    if text.isdecimal() and int(text) > max(1, usable):
        facts: Facts = {"threads": int(text), "cpus": round(usable, 2)}
        return failed("more threads than CPUs", "OMP_NUM_THREADS", **facts)
    return passed("OMP_NUM_THREADS", value=text)


@check("engine.kv_memory", layer="engine", needs=LOCAL)
def kv_memory(system: System) -> Outcome:
    """The conversations that run at once fit in memory."""
    per_token, total = _kv_per_token(system), _total_memory(system)
    n_ctx = int(served(system).get("n_ctx") or system.settings.ctx_size)
    slots = int(served(system).get("n_slots") or system.settings.parallel or 1)
    if not per_token or not total:
        return skipped("the model's shape or the memory is unknown")
    need = per_token * n_ctx * slots
    facts: Facts = {
        "ctx_size": n_ctx,
        "parallel": slots,
        "kv_mib": need >> 20,
        "memory_mib": total >> 20,
    }
    if need > 0.6 * total:
        return failed("the cache of conversations does not fit", "arithmetic", **facts)
    return passed("arithmetic", **facts)


def _kv_per_token(system: System) -> int:
    known = [head_of(system, path) for path in packs(system)[:1]] or list(headers(system).values())
    return max((h.kv_bytes_per_token for h in known if isinstance(h, Header)), default=0)


def _total_memory(system: System) -> int:
    rows = [line.split() for line in (system.kernel("/proc/meminfo") or "").splitlines()]
    total = next((int(row[1]) * 1024 for row in rows if row[:1] == ["MemTotal:"]), 0)
    limit = system.cgroup().memory_limit()
    return total if limit is None else min(total, limit)


@check("engine.context", layer="engine", needs=LOCAL)
def context(system: System) -> Outcome:
    """The context window has room for a conversation."""
    size = int(served(system).get("n_ctx") or system.settings.ctx_size)
    if 0 < size < 512:
        return failed("the context window is tiny", "settings", ctx_size=size)
    return passed("settings", ctx_size=size)


@check("engine.instruction_set", layer="engine", needs=READY)
def instruction_set(system: System) -> Outcome:
    """The fast kernels are used where the CPU offers them."""
    isa = str(served(system).get("isa", ""))
    has_avx2 = " avx2 " in (system.kernel("/proc/cpuinfo") or "") and system.is_near
    if isa == "portable" and has_avx2:
        return warned("the slow kernels are used", "worker status", isa=isa)
    return passed("worker status", isa=isa)


@check("engine.fast_cpu", layer="engine", needs=READY)
def fast_cpu(system: System) -> Outcome:
    """The CPU has instructions that the engine is fast with."""
    found = served(system)
    if found.get("isa") == "portable" and found.get("slow_why"):
        return warned(str(found["slow_why"]), "worker status", isa="portable")
    return passed("worker status", isa=str(found.get("isa", "")))


@check("engine.dtype", layer="engine", needs=READY)
def dtype(system: System) -> Outcome:
    """No half precision where the CPU cannot compute in it."""
    name = str(served(system).get("dtype", ""))
    if "float16" in name and "bfloat16" not in name:
        return failed("half precision on a CPU", "worker status", dtype=name)
    return passed("worker status", dtype=name)


@check("engine.kv_cache", layer="engine", needs=READY)
def kv_cache(system: System) -> Outcome:
    """Earlier tokens are kept and not computed again for each new one."""
    if served(system).get("use_cache") is False:
        return failed("the key-value cache is off", "worker status", use_cache=False)
    return passed("worker status")


# ---- load and speed


@check("engine.queue", layer="engine", needs=READY)
def queue(system: System) -> Outcome:
    """Nobody waits long for a turn."""
    found = worker(system)
    waiting, slots = int(found.get("waiting", 0)), int(served(system).get("n_slots") or 1)
    facts: Facts = {"waiting": waiting, "running": int(found.get("running", 0)), "slots": slots}
    if waiting > 2 * slots:
        return failed("many requests wait", "worker status", **facts)
    return passed("worker status", **facts)


@check("engine.abandoned", layer="engine", needs=READY, timeout_s=6.0)
def abandoned(system: System) -> Outcome:
    """Nothing is generated that nobody reads."""
    if system.facts.get("answers_live") is None:
        return skipped("the server does not count")
    running, live = _unread(system.facts)
    if running > live + 1:
        # what the worker says may be a second old: a second look must agree
        system.pause(_BEAT_S)
        again = system.http("/api/doctor/facts").json()
        running, live = _unread(again)
    facts: Facts = {"running": running, "live": live}
    if running > live + 1:
        return failed("answers run without readers", "server", **facts)
    return passed("server", **facts)


def _unread(facts: dict[str, Any]) -> tuple[int, int]:
    """Answers that the worker computes, and those that somebody reads."""
    return int(facts.get("worker", {}).get("running", 0)), int(facts.get("answers_live") or 0)


@check("engine.orphans", layer="engine", needs=LOCAL)
def orphans(system: System) -> Outcome:
    """No worker of an earlier server was left behind."""
    own = worker(system).get("pid")
    for path in system.kernel_glob("proc/[0-9]*/cmdline"):
        pid = int(path.parent.name)
        if "qwell.worker.process" in system.process_command(pid) and pid != own:
            fields = (system.kernel(f"/proc/{pid}/stat") or "").rpartition(") ")[2].split()
            if len(fields) > 1 and fields[1] == "1":
                return failed("a worker without a server", "/proc", pid=pid)
    return passed("/proc")


@check("engine.speed", layer="engine", needs=READY, timeout_s=30.0)
def speed(system: System) -> Outcome:
    """Tokens come as fast as they once did here."""
    usual, now = _usual(system), _timings(load_sample(system))
    tok_s = float(now.get("tok_s", 0))
    facts: Facts = {"tok_s": round(tok_s, 1), "usual_tok_s": round(usual.tok_s, 1)}
    if why := _cannot_compare(system, usual, now):
        return skipped(why, "baseline", **facts)
    if _is_slow(tok_s, usual.tok_s):  # once may be chance
        tok_s = float(_timings(take(system)).get("tok_s", 0))
    facts["tok_s"] = round(tok_s, 1)
    if _is_slow(tok_s, usual.tok_s):
        return failed("much slower than usual", "baseline", **facts)
    return passed("baseline", **facts)


def _is_slow(tok_s: float, usual_tok_s: float) -> bool:
    """By a factor, and by a time that is more than one late turn of the scheduler."""
    lost_s = N_TOKENS / max(tok_s, 1e-3) - N_TOKENS / max(usual_tok_s, 1e-3)
    return tok_s < _SLOW * usual_tok_s and lost_s > _NOTICEABLE_S


@check("engine.first_token", layer="engine", needs=READY, timeout_s=30.0)
def first_token(system: System) -> Outcome:
    """The first token comes as soon as it once did here."""
    usual, now = _usual(system), _timings(load_sample(system))
    ttft = float(now.get("ttft_ms", 0))
    facts: Facts = {"ttft_ms": round(ttft), "usual_ttft_ms": round(usual.ttft_ms)}
    if why := _cannot_compare(system, usual, now):
        return skipped(why, "baseline", **facts)
    if ttft > max(_LATE * usual.ttft_ms, usual.ttft_ms + 2000):
        return failed("the first token comes late", "baseline", **facts)
    return passed("baseline", **facts)


def _usual(system: System) -> baseline.Baseline:
    found = system.facts.get("baseline") or {}
    names = ("tok_s", "ttft_ms", "n", "answers")
    return baseline.Baseline(**{name: found[name] for name in names if name in found})


def _timings(sample: LoadSample) -> dict[str, Any]:
    found = sample.last("done").get("timings", {})
    return found if isinstance(found, dict) else {}


def _cannot_compare(system: System, usual: baseline.Baseline, now: dict[str, Any]) -> str:
    if not usual.is_known:
        return "nothing to compare with yet"
    if not now:
        return "nothing was measured: the server was busy"
    load = float((system.kernel("/proc/loadavg") or "0").split()[0]) if system.is_near else 0.0
    if load > 1.5 * system.usable_cpus():
        return "other programs use this machine"
    return ""


@check("engine.same_answer", layer="engine", needs=READY, timeout_s=45.0)
def same_answer(system: System) -> Outcome:
    """The fixed question gets the answer that it got when all was well."""
    usual, sample = _usual(system), load_sample(system)
    if not usual.is_known or not sample.text:
        return skipped("nothing to compare with yet")
    if sample.text not in usual.answers and take(system).text not in ("", *usual.answers):
        facts: Facts = {"answer": sample.text, "recorded": usual.answers[0]}
        return failed("another answer than recorded", "baseline", **facts)
    return passed("baseline", answer=sample.text)


# ---- deep


@check("engine.loads", layer="engine", needs=("model.present",), deep=True, timeout_s=120.0)
def loads(system: System) -> Outcome:
    """A second engine, in a child, loads the model and answers."""
    found = probed(system)
    if "died" in found:
        said = str(found.get("said", ""))[-300:]
        return failed("the child died", "probe", code=int(found["died"]), said=said)
    if error := found.get("error"):
        facts: Facts = {"fault": str(error.get("fault", "")), "found": str(error.get("found", ""))}
        return failed("the model cannot be loaded", "probe", **facts)
    return passed("probe", load_s=float(found.get("load_s", 0)), tok_s=float(found.get("tok_s", 0)))


def probed(system: System) -> dict[str, Any]:
    """The report of worker/probe.py, made once a run."""
    arguments = [
        "--model", system.settings.model,
        "--engine", system.settings.engine,
        "--quant", system.settings.quant,
        "--cache-dir", system.settings.cache_dir,
    ]  # fmt: skip
    return system.once(
        "engine probe", lambda: system.probe("qwell.worker.probe", *arguments, timeout_s=110.0)
    )


@check("engine.canary", layer="engine", needs=("engine.loads",), deep=True, timeout_s=5.0)
def canary(system: System) -> Outcome:
    """The fixed question gets the answer that was recorded when all was well."""
    found = probed(system)
    known = baseline.load(system.settings.data_path, str(found.get("key", "")))
    answer = str(found.get("answer", ""))
    if not known.is_known:
        return skipped("too few answers were recorded yet", answer=answer)
    if answer not in known.answers:
        recorded = known.answers[0]
        return failed("another answer than recorded", "probe", answer=answer, recorded=recorded)
    return passed("probe", answer=answer)


@check("engine.prefix_cache", layer="engine", needs=READY, deep=True, timeout_s=45.0)
def prefix_cache(system: System) -> Outcome:
    """The unchanged beginning of a conversation is not computed twice."""
    load_sample(system)
    again = system.once("second answer", lambda: take(system))
    usage = again.last("done").get("usage", {})
    if not usage:
        return skipped("the server was busy")
    n_prompt, n_cached = (int(usage.get(k, 0)) for k in ("prompt_tokens", "cached_tokens"))
    if n_prompt > 8 and not n_cached:
        return failed("the same prompt was computed again", "usage", prompt_tokens=n_prompt)
    return passed("usage", prompt_tokens=n_prompt, cached_tokens=n_cached)
