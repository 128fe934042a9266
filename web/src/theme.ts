/** Colours and the choice between light and dark. Knows nothing of what is drawn with them. */

import { theme as antd, type ThemeConfig } from "antd";
import { useEffect, useState } from "react";
import { usePreference } from "./preference";

export const THEME_CHOICES = ["system", "light", "dark"] as const;
export type ThemeChoice = (typeof THEME_CHOICES)[number];

const SYSTEM_FONTS =
  'system-ui, -apple-system, "Segoe UI", Roboto, "PingFang SC", "Microsoft YaHei", "Noto Sans SC", "Noto Sans CJK SC", sans-serif';

/** antd's own dark surfaces are black; these are those of page.css. */
const DARK_SURFACES = {
  colorBgContainer: "#191d20",
  colorBgElevated: "#20262a",
  colorBgLayout: "#14171a",
  colorBorder: "#353d42",
  colorBorderSecondary: "#2a3135",
};

/** The chosen theme, and whether it is dark now; follows the system while that is the choice. */
export function useTheme(): [ThemeChoice, (choice: ThemeChoice) => void, boolean] {
  const [choice, choose] = usePreference<ThemeChoice>("theme", THEME_CHOICES, "system");
  const [systemIsDark, setSystemIsDark] = useState(() => darkQuery().matches);
  useEffect(() => {
    const query = darkQuery();
    const follow = (): void => setSystemIsDark(query.matches);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, []);
  const isDark = choice === "system" ? systemIsDark : choice === "dark";
  useEffect(() => {
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
  }, [isDark]);
  return [choice, choose, isDark];
}

export function themeConfig(isDark: boolean): ThemeConfig {
  return {
    algorithm: isDark ? antd.darkAlgorithm : antd.defaultAlgorithm,
    token: {
      colorPrimary: isDark ? "#2bb3a3" : "#0f766e",
      colorInfo: isDark ? "#2bb3a3" : "#0f766e",
      colorLink: isDark ? "#5fd4c6" : "#0f766e",
      ...(isDark && DARK_SURFACES),
      colorTextPlaceholder: isDark ? "#8b9aa0" : "#66757a", // the library's are too faint to read
      borderRadius: 8,
      fontSize: 15,
      fontFamily: SYSTEM_FONTS,
      motionDurationMid: "0.12s",
      motionDurationSlow: "0.16s",
    },
    components: {
      // white on the lighter green of the dark page cannot be read by everyone
      Button: { contentFontSizeSM: 13, contentFontSizeLG: 15, defaultShadow: "none", primaryShadow: "none", ...(isDark && { primaryColor: "#041512" }) },
      ...(isDark && { Tabs: { itemSelectedColor: "#5fd4c6", itemHoverColor: "#5fd4c6" } }),
    },
  };
}

function darkQuery(): MediaQueryList {
  return matchMedia("(prefers-color-scheme: dark)");
}
