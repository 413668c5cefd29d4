/**
 * What the comparer says, in the languages of the pack.
 *
 * @typedef {typeof ENGLISH} Words
 */

const ENGLISH = {
    before: "before",
    after: "after",
    slider: "Slider between before and after",
    tools: "View",
    difference: "Difference",
    gain: "Brightness of the difference",
    mask: { off: "Mask: hidden", outline: "Mask: outline", only: "Mask: only inside" },
    larger: "Zoom in",
    smaller: "Zoom out",
    fit: "Show all",
    previous: "Previous pair",
    next: "Next pair",
    empty: "Run the workflow to compare.",
    gone: "The pictures are no longer on the server. Run the workflow again.",
    unchanged: "Unchanged outside the mask",
    changed: "Outside the mask: up to {levels} of 255",
    hint: "Click: hold · click, then wheel: zoom · drag: move · keys: ← → + − 0 1 D M",
};

/** @type {Record<string, Words>} */
const OTHERS = {
    ko: {
        before: "이전",
        after: "이후",
        slider: "이전과 이후 사이의 슬라이더",
        tools: "보기",
        difference: "차이",
        gain: "차이의 밝기",
        mask: { off: "마스크: 숨김", outline: "마스크: 윤곽선", only: "마스크: 안쪽만" },
        larger: "확대",
        smaller: "축소",
        fit: "전체 보기",
        previous: "이전 쌍",
        next: "다음 쌍",
        empty: "비교하려면 워크플로를 실행하세요.",
        gone: "이미지가 서버에 더 이상 없습니다. 워크플로를 다시 실행하세요.",
        unchanged: "마스크 밖은 변화 없음",
        changed: "마스크 밖: 최대 {levels} / 255",
        hint: "클릭: 고정 · 클릭 후 휠: 확대 · 드래그: 이동 · 키: ← → + − 0 1 D M",
    },
    ja: {
        before: "前",
        after: "後",
        slider: "前と後の間のスライダー",
        tools: "表示",
        difference: "差分",
        gain: "差分の明るさ",
        mask: { off: "マスク: 非表示", outline: "マスク: 輪郭", only: "マスク: 内側のみ" },
        larger: "拡大",
        smaller: "縮小",
        fit: "全体を表示",
        previous: "前の組",
        next: "次の組",
        empty: "ワークフローを実行すると比較できます。",
        gone: "画像はもうサーバーにありません。ワークフローをもう一度実行してください。",
        unchanged: "マスクの外は変化なし",
        changed: "マスクの外: 最大 {levels} / 255",
        hint: "クリック: 固定 · クリック後ホイール: 拡大 · ドラッグ: 移動 · キー: ← → + − 0 1 D M",
    },
    zh: {
        before: "之前",
        after: "之后",
        slider: "之前与之后之间的滑块",
        tools: "视图",
        difference: "差异",
        gain: "差异的亮度",
        mask: { off: "遮罩：隐藏", outline: "遮罩：轮廓", only: "遮罩：仅内部" },
        larger: "放大",
        smaller: "缩小",
        fit: "显示全部",
        previous: "上一对",
        next: "下一对",
        empty: "运行工作流以进行比较。",
        gone: "图像已不在服务器上。请重新运行工作流。",
        unchanged: "遮罩之外没有变化",
        changed: "遮罩之外：最多 {levels} / 255",
        hint: "单击：固定 · 单击后滚轮：缩放 · 拖动：移动 · 按键：← → + − 0 1 D M",
    },
};

/**
 * The words for a locale such as "en" or "zh-TW".
 *
 * @param {unknown} locale
 * @returns {Words}
 */
export function wordsFor(locale) {
    return OTHERS[`${locale}`.split("-")[0] ?? ""] ?? ENGLISH;
}
