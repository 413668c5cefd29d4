/**
 * What is said below the drawing of a crop, in the languages of the pack.
 *
 * @typedef {typeof ENGLISH} Words
 */

const ENGLISH = {
    connect: "Connect an image and a mask.",
    later: "The crop is shown after the first run.",
    again: "Run again to see the new crop.",
    part: "{crop} of {image}",
    unmasked: "Nothing is masked: {sizes}",
    drawing: "The crop: {sizes}",
    previous: "Previous crop",
    next: "Next crop",
};

/** @type {Record<string, Words>} */
const OTHERS = {
    ko: {
        connect: "이미지와 마스크를 연결하세요.",
        later: "첫 실행 뒤에 크롭 영역이 표시됩니다.",
        again: "새 크롭 영역을 보려면 다시 실행하세요.",
        part: "{image} 중 {crop}",
        unmasked: "마스크가 비어 있음: {sizes}",
        drawing: "크롭 영역: {sizes}",
        previous: "이전 크롭",
        next: "다음 크롭",
    },
    ja: {
        connect: "画像とマスクを接続してください。",
        later: "クロップ範囲は最初の実行後に表示されます。",
        again: "新しいクロップ範囲を見るには、もう一度実行してください。",
        part: "{image} のうち {crop}",
        unmasked: "マスクが空です: {sizes}",
        drawing: "クロップ範囲: {sizes}",
        previous: "前のクロップ",
        next: "次のクロップ",
    },
    zh: {
        connect: "请连接图像和遮罩。",
        later: "首次运行后显示裁剪区域。",
        again: "重新运行以查看新的裁剪区域。",
        part: "{image} 中的 {crop}",
        unmasked: "遮罩为空：{sizes}",
        drawing: "裁剪区域：{sizes}",
        previous: "上一个裁剪",
        next: "下一个裁剪",
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

/**
 * A sentence with its gaps filled.
 *
 * @param {string} text
 * @param {Record<string, string>} values
 */
export function filled(text, values) {
    return text.replace(/\{(\w+)\}/g, (gap, name) => values[name] ?? gap);
}
