//! What the tests ask a page: scripts that give back what is wrong.

/// Texts whose contrast with what is behind them is less than 4.5 (WCAG 2.1, 1.4.3), each with its ratio.
pub const LOW_CONTRAST: &str = r#"(() => {
    const parse = (color) => color.match(/[\d.]+/g).map(Number);
    const channel = (value) => { value /= 255; return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
    const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const color = parse(getComputedStyle(at).backgroundColor);
            if (color.length < 4 || color[3] === 1) return color;
        }
        return [255, 255, 255];
    };
    const rects = [...document.querySelectorAll("svg rect")].map((rect) => [rect.getBoundingClientRect(), rect]);
    const behindSvg = (element) => {
        const box = element.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
        const inside = rects.filter(([at]) => at.left <= x && x <= at.right && at.top <= y && y <= at.bottom);
        return parse(getComputedStyle(inside.at(-1)[1]).fill);
    };
    const wrong = [];
    let seen = 0;
    for (const element of document.querySelectorAll("*")) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || ["STYLE", "style", "SCRIPT", "TITLE", "title", "NOSCRIPT"].includes(element.tagName)) continue;
        const isSvg = element instanceof SVGElement, style = getComputedStyle(element);
        if (style.visibility === "hidden" || (!isSvg && !element.getClientRects().length)) continue;
        seen++;
        const [one, other] = [luminance(parse(isSvg ? style.fill : style.color)), luminance(isSvg ? behindSvg(element) : behind(element))];
        const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (ratio < 4.5) wrong.push(`${element.textContent}: ${ratio.toFixed(2)}`);
    }
    return seen < 10 ? [`only ${seen} texts`] : wrong;
})()"#;

/// Texts and boxes of the page that overlap others, or that are cut off.
pub const OVERLAPS: &str = r#"(() => {
    const wrong = [];
    const items = [...document.querySelectorAll(".item")].filter((item) => !item.hidden);
    const boxes = items.map((item) => [item.getBoundingClientRect(), item]);
    boxes.forEach(([one, item], at) => {
        for (const [other, with_] of boxes.slice(at + 1)) {
            if (one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom) {
                wrong.push(`${item.textContent} overlaps ${with_.textContent}`);
            }
        }
        let bottom = 0;
        for (const line of [...item.querySelectorAll(".line")].filter((line) => !line.hidden)) {
            const box = line.getBoundingClientRect();
            if (line.scrollWidth > line.clientWidth && !line.title) wrong.push(`${line.textContent} is cut off`);
            if (box.bottom > one.bottom || box.top < one.top) wrong.push(`${line.textContent} is outside of its box`);
            if (box.top < bottom) wrong.push(`${line.textContent} overlaps the line before`);
            bottom = box.bottom;
        }
    });
    return boxes.length ? wrong : ["no boxes"];
})()"#;

/// Texts of an SVG that overlap others, or leave the box that they begin in.
pub const SVG_OVERLAPS: &str = r#"(() => {
    const wrong = [];
    const texts = [...document.querySelectorAll("text")].map((text) => [text.getBBox(), text.textContent]);
    texts.forEach(([one, text], at) => {
        for (const [other, with_] of texts.slice(at + 1)) {
            if (one.x < other.x + other.width && other.x < one.x + one.width
                && one.y + 2 < other.y + other.height && other.y + 2 < one.y + one.height) wrong.push(`${text} overlaps ${with_}`);
        }
    });
    for (const group of document.querySelectorAll("g")) {
        const box = group.querySelector("rect").getBBox();
        for (const text of group.querySelectorAll("text")) {
            const at = text.getBBox();
            if (at.x < box.x || at.x + at.width > box.x + box.width || at.y < box.y || at.y + at.height > box.y + box.height) {
                wrong.push(`${text.textContent} leaves its box`);
            }
        }
    }
    return texts.length > 5 ? wrong : ["no texts"];
})()"#;

/// Where a box with that title is.
pub fn item(title: &str) -> String {
    format!(
        "[...document.querySelectorAll('.item')].find((item) => item.querySelector('.line.title > :first-child').textContent.trim() === {})",
        serde_json::Value::from(title)
    )
}
