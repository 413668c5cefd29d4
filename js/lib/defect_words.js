/**
 * What the report of defects says by itself, in the languages of the pack.
 *
 * @typedef {typeof ENGLISH} Words
 */

const ENGLISH = {
    waiting: "Run to see what is found.",
    nothing: "Nothing found",
    found: "Found: {count}",
    previous: "Previous picture",
    next: "Next picture",
};

/** @type {Record<string, Words>} */
const OTHERS = {
    ko: {
        waiting: "찾은 결함을 보려면 실행하세요.",
        nothing: "찾은 결함 없음",
        found: "찾은 결함: {count}",
        previous: "이전 이미지",
        next: "다음 이미지",
    },
    ja: {
        waiting: "検出結果を見るには実行してください。",
        nothing: "欠陥は見つかりませんでした",
        found: "検出: {count}",
        previous: "前の画像",
        next: "次の画像",
    },
    zh: {
        waiting: "运行以查看发现的缺陷。",
        nothing: "未发现缺陷",
        found: "发现：{count}",
        previous: "上一张图像",
        next: "下一张图像",
    },
};

/**
 * The words of a language; English where the pack does not know it.
 *
 * @param {string} language - as the setting Comfy.Locale has it
 * @returns {Words}
 */
export function wordsFor(language) {
    return OTHERS[`${language}`.split("-")[0] ?? ""] ?? ENGLISH;
}
