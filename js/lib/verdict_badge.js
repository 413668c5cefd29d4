/**
 * Says whether an object came back.
 *
 * @typedef {{ score: number, passed: boolean, threshold: number }} Verdict - of one picture
 */

import { element } from "./dom.js";

const ENGLISH = {
    waiting: "Run to check the removal.",
    passed: "Passed",
    failed: "An object came back",
    several: "{failed} of {count} came back",
    score: "score {score}, limit {threshold}",
};

/** @type {Record<string, typeof ENGLISH>} */
const OTHERS = {
    ko: {
        waiting: "제거 결과를 확인하려면 실행하세요.",
        passed: "통과",
        failed: "객체가 다시 나타남",
        several: "{count}개 중 {failed}개에서 다시 나타남",
        score: "점수 {score}, 한계 {threshold}",
    },
    ja: {
        waiting: "除去結果を確認するには実行してください。",
        passed: "合格",
        failed: "オブジェクトが再び現れました",
        several: "{count} 枚中 {failed} 枚で再び現れました",
        score: "スコア {score}、上限 {threshold}",
    },
    zh: {
        waiting: "运行以检查移除结果。",
        passed: "通过",
        failed: "物体又出现了",
        several: "{count} 张中有 {failed} 张又出现",
        score: "得分 {score}，上限 {threshold}",
    },
};

/** @typedef {"waiting" | "passed" | "failed"} Outcome */

/**
 * What a badge says of the pictures of a run: of several, the worst score.
 *
 * @param {Verdict[]} verdicts
 * @param {string} language - as the setting Comfy.Locale has it
 * @returns {{ outcome: Outcome, text: string, detail: string, score: number }}
 */
export function summaryOf(verdicts, language) {
    const words = OTHERS[`${language}`.split("-")[0] ?? ""] ?? ENGLISH;
    const worst = verdicts.reduce((a, b) => (b.score > a.score ? b : a), verdicts[0] ?? NONE);
    if (worst === NONE) return { outcome: "waiting", text: words.waiting, detail: "", score: 0 };
    const failed = verdicts.filter((verdict) => !verdict.passed).length;
    const outcome = failed ? "failed" : "passed";
    const text = failed && verdicts.length > 1 ? words.several : words[outcome];
    return {
        outcome,
        text: text.replace("{failed}", `${failed}`).replace("{count}", `${verdicts.length}`),
        detail: words.score
            .replace("{score}", worst.score.toFixed(2))
            .replace("{threshold}", worst.threshold.toFixed(2)),
        score: worst.score,
    };
}

/** @type {Verdict} */
const NONE = { score: 0, passed: true, threshold: 0 };

/**
 * A badge, and a function to fill it.
 *
 * @param {string} language
 */
export function makeBadge(language) {
    const title = element("strong", { class: "cv-title" });
    const detail = element("span", { class: "cv-detail" });
    const bar = element("span", { class: "cv-bar" });
    const badge = element(
        "div",
        { class: "cleanplate-verdict", role: "status" },
        title,
        detail,
        bar,
    );
    const show = (/** @type {Verdict[]} */ verdicts) => {
        const said = summaryOf(verdicts, language);
        badge.dataset.outcome = said.outcome;
        title.textContent = said.text;
        detail.textContent = said.detail;
        badge.style.setProperty("--cv-score", `${said.score}`);
        badge.style.setProperty("--cv-threshold", `${verdicts[0]?.threshold ?? 0}`);
    };
    show([]);
    return { element: badge, show };
}
