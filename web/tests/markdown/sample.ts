/** Everything that answers are made of. */
export const SAMPLE = `# 缓存

缓存把**常用的数据**放在*附近*，~~不~~省时间 🙂。stray vector<int stays.

1. 快
2. 小
   - 嵌套
3. \`write-back\`

- [x] done
- [ ] open

\`\`\`python
def f(a: list[int]) -> None:
    print("**not bold**")
\`\`\`

| 层 | 大小 |
|:--|--:|
| L1 | 32 KB |

> 引用
> 两行

---

参见 [链接](https://example.com/a?b=c&d=e) 和 https://example.com。

<script>alert(1)</script> &lt;b&gt; AT&T

见 [later][later]

[later]: https://example.com/later
`;
