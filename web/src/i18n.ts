/** Every word of the page in English and Chinese. Knows no component. */

import { createContext, useContext } from "react";
import { usePreference } from "./preference";

export const LANGUAGES = ["en", "zh"] as const;
export type Language = (typeof LANGUAGES)[number];

const en = {
  htmlLang: "en",
  newChat: "New chat",
  chats: "Chats",
  openChats: "Show chats",
  close: "Close",
  rename: "Rename",
  delete: "Delete",
  deleted: "Chat deleted",
  undo: "Undo",
  cancel: "Cancel",
  save: "Save",
  today: "Today",
  yesterday: "Yesterday",
  earlier: "Earlier",
  language: "中文",
  languageHint: "切换到中文",
  theme: "Theme",
  themes: { system: "Like the system", light: "Light", dark: "Dark" },
  welcome: "What can I help with?",
  welcomeHint: "Runs on this machine. Nothing you type leaves it.",
  prompts: [
    "Explain what a cache does, in three sentences.",
    "Write a Python function that reverses a linked list.",
    "Translate into Chinese: The meeting has moved to Friday.",
  ],
  placeholder: "Message",
  hint: "Enter sends · Shift+Enter starts a new line",
  you: "You",
  assistant: "Assistant",
  copy: "Copy",
  copied: "Copied",
  regenerate: "Answer again",
  retry: "Try again",
  code: "Code",
  fix: "What to do",
  requestId: "Request",
  connecting: "Connecting…",
  queued: (position: number) => (position > 0 ? `Waiting: ${position} ahead` : "Waiting for a free slot…"),
  waitEstimate: (seconds: number) => `about ${seconds} s`,
  loading: (percent: number) => `Loading the model: ${percent} %`,
  reading: (done: number, total: number) => `Reading the prompt: ${done} / ${total} tokens`,
  writing: "Writing the answer",
  ttft: (text: string) => `first token ${text}`,
  rate: (text: string) => `${text} tok/s`,
  tokens: (n: number) => `${n} ${n === 1 ? "token" : "tokens"}`,
  promptTokens: (n: number, cached: number) => `prompt ${n}${cached > 0 ? ` (${cached} cached)` : ""}`,
  reasons: {
    stop: "",
    tool_calls: "",
    length: "Cut: the answer reached its length limit.",
    repetition: "Stopped: the answer had begun to repeat itself.",
    cancelled: "Stopped.",
    interrupted: "Interrupted: the page was closed while this was written.",
  },
  notices: {
    "context-overflow": "The oldest turns no longer fit and were left out of what the model reads.",
    "repetition-loop": "The answer had begun to repeat itself and was stopped.",
    "max-tokens-cut": "The answer reached its length limit.",
  } as Record<string, string>,
  unknownModel: "model unknown",
  states: {
    unknown: "Asking the server…",
    ready: "Ready",
    loading: "The model is still loading",
    broken: "The model cannot answer",
    unreachable: "The server cannot be reached",
  },
  unreachableFix: "Check that `qwell serve` runs and that this address leads to it. This page tries again by itself.",
  storageFull: "This chat could not be saved in the browser. It stays here until you close the page.",
  crashed: "Something broke on this page",
  crashedFix: "Reload the page. Your chats are kept.",
  reload: "Reload",
  failures: {
    "backend-not-listening": {
      title: "The server cannot be reached",
      cause: "No connection to the server could be made, or it was lost and did not come back.",
      fix: "Check that `qwell serve` runs, then try again.",
    },
    "api-returns-html": {
      title: "Something else answered",
      cause: "The address answered, but not with the events of this server. A proxy may lead elsewhere.",
      fix: "Let the proxy pass /api and /ws to qwell.",
    },
    "api-base-wrong": {
      title: "The address is not known there",
      cause: "The server does not know the chat address (404).",
      fix: "Let the proxy pass /api and /ws to qwell, and reload this page after an upgrade.",
    },
    "auth-missing": {
      title: "Access refused",
      cause: "The server or a proxy in front of it wants a key.",
      fix: "Open the page through the address that you are signed in to.",
    },
    "rate-limited": {
      title: "Too many requests",
      cause: "The server or a proxy in front of it limits requests.",
      fix: "Wait a moment, then try again.",
    },
    "proxy-body-too-large": {
      title: "The message is too large",
      cause: "A proxy between this page and the server refuses requests of this size.",
      fix: "Send less text, or raise the proxy's limit (nginx: client_max_body_size).",
    },
  } as Record<string, { title: string; cause: string; fix: string }>,
};

export type Texts = typeof en;

const zh: Texts = {
  htmlLang: "zh-CN",
  newChat: "新对话",
  chats: "对话",
  openChats: "显示对话列表",
  close: "关闭",
  rename: "重命名",
  delete: "删除",
  deleted: "对话已删除",
  undo: "撤销",
  cancel: "取消",
  save: "保存",
  today: "今天",
  yesterday: "昨天",
  earlier: "更早",
  language: "EN",
  languageHint: "Switch to English",
  theme: "主题",
  themes: { system: "跟随系统", light: "浅色", dark: "深色" },
  welcome: "有什么可以帮你？",
  welcomeHint: "模型在本机运行，你输入的内容不会离开这台机器。",
  prompts: ["用三句话解释什么是缓存。", "写一个反转链表的 Python 函数。", "翻译成英文：会议改到星期五了。"],
  placeholder: "输入消息",
  hint: "Enter 发送 · Shift+Enter 换行",
  you: "你",
  assistant: "助手",
  copy: "复制",
  copied: "已复制",
  regenerate: "重新回答",
  retry: "重试",
  code: "代码",
  fix: "处理方法",
  requestId: "请求",
  connecting: "正在连接…",
  queued: (position) => (position > 0 ? `排队中：前面还有 ${position} 个` : "正在等待空闲…"),
  waitEstimate: (seconds) => `约 ${seconds} 秒`,
  loading: (percent) => `正在加载模型：${percent}%`,
  reading: (done, total) => `正在读取提示：${done} / ${total} token`,
  writing: "正在回答",
  ttft: (text) => `首 token ${text}`,
  rate: (text) => `${text} token/秒`,
  tokens: (n) => `${n} token`,
  promptTokens: (n, cached) => `提示 ${n}${cached > 0 ? `（缓存 ${cached}）` : ""}`,
  reasons: {
    stop: "",
    tool_calls: "",
    length: "已截断：回答达到长度上限。",
    repetition: "已停止：回答开始重复。",
    cancelled: "已停止。",
    interrupted: "已中断：回答过程中页面被关闭。",
  },
  notices: {
    "context-overflow": "最早的几轮对话已放不下，模型不再读取它们。",
    "repetition-loop": "回答开始重复，已停止。",
    "max-tokens-cut": "回答达到长度上限。",
  },
  unknownModel: "未知模型",
  states: {
    unknown: "正在询问服务器…",
    ready: "就绪",
    loading: "模型仍在加载",
    broken: "模型无法回答",
    unreachable: "无法连接服务器",
  },
  unreachableFix: "请确认 `qwell serve` 正在运行，且此地址指向它。页面会自动重试。",
  storageFull: "此对话无法保存到浏览器，关闭页面前仍可使用。",
  crashed: "页面出错了",
  crashedFix: "请重新加载页面，对话不会丢失。",
  reload: "重新加载",
  failures: {
    "backend-not-listening": {
      title: "无法连接服务器",
      cause: "无法建立连接，或连接中断后没有恢复。",
      fix: "请确认 `qwell serve` 正在运行，然后重试。",
    },
    "api-returns-html": {
      title: "应答的不是本服务",
      cause: "该地址有应答，但不是本服务的事件，可能是代理指向了别处。",
      fix: "请让代理把 /api 和 /ws 转发给 qwell。",
    },
    "api-base-wrong": {
      title: "地址不存在",
      cause: "服务器上没有对话接口（404）。",
      fix: "请让代理把 /api 和 /ws 转发给 qwell；若刚升级过，请重新加载页面。",
    },
    "auth-missing": {
      title: "访问被拒绝",
      cause: "服务器或其前面的代理要求密钥。",
      fix: "请通过已登录的地址打开此页面。",
    },
    "rate-limited": {
      title: "请求过多",
      cause: "服务器或其前面的代理限制了请求频率。",
      fix: "请稍等片刻再重试。",
    },
    "proxy-body-too-large": {
      title: "消息过大",
      cause: "页面与服务器之间的代理拒绝了这么大的请求。",
      fix: "请缩短内容，或调大代理的限制（nginx：client_max_body_size）。",
    },
  },
};

export const TEXTS: Record<Language, Texts> = { en, zh };

export const TextsContext = createContext<Texts>(en);

export function useTexts(): Texts {
  return useContext(TextsContext);
}

/** The chosen language; the browser's until one is chosen. */
export function useLanguage(): [Language, (language: Language) => void, Texts] {
  const preferred: Language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
  const [language, choose] = usePreference<Language>("language", LANGUAGES, preferred);
  return [language, choose, TEXTS[language]];
}
