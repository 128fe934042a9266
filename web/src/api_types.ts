/** Made by scripts/generate_api_types.py from the server's own types. Not to be edited. */

export interface ChangeIn {
  title?: string | null;
  settings?: ConversationSettings | null;
  current?: string | null;
}

export interface ChatIn {
  conversation?: string | null;
  parent?: string | null;
  question?: string | null;
  answer?: string | null;
  messages: readonly Turn[];
  sampling?: SamplingIn;
  max_tokens?: number | null;
  stop?: readonly string[];
  overflow?: "trim" | "error";
  lang?: "zh" | "en" | null;
  continue_last?: boolean;
}

export interface ConversationIn {
  id?: string | null;
  title?: string;
  settings?: ConversationSettings;
}

export interface ConversationSettings {
  system?: string;
  sampling?: SamplingIn;
  max_tokens?: number | null;
}

export interface SamplingIn {
  temperature?: number | null;
  top_k?: number | null;
  top_p?: number | null;
  min_p?: number | null;
  repetition_penalty?: number | null;
  presence_penalty?: number | null;
  frequency_penalty?: number | null;
  seed?: number | null;
  logit_bias?: Record<string, number> | null;
}

export interface Turn {
  role: "system" | "user" | "assistant";
  content: string;
}

export interface QueuedEvent {
  position: number;
  wait_s: number | null;
}

export interface LoadingEvent {
  progress: number;
}

export interface PrefillEvent {
  done: number;
  total: number;
  cached: number;
}

export interface DeltaEvent {
  text: string;
  logprobs?: readonly Record<string, unknown>[];
  tool_calls?: readonly Record<string, string>[];
}

export interface NoticeEvent {
  code: string;
  detail: Record<string, unknown>;
}

export interface Timings {
  queue_ms: number;
  prefill_ms: number;
  ttft_ms: number;
  tok_s: number;
}

export interface Usage {
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  dropped_tokens: number;
}

export interface DoneEvent {
  reason: "stop" | "length" | "repetition" | "cancelled" | "tool_calls";
  usage: Usage;
  timings: Timings;
  stop?: string | null;
}

export interface FailedEvent {
  code: string;
  title: string;
  cause: string;
  fix: string;
  request_id: string;
  retry_after_s?: number | null;
}
