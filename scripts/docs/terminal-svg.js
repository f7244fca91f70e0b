/** Captured text as a picture of terminal windows: SVG, no script, no font of its own, readable by a screen reader. */

const CHAR = 7.8;
const LINE = 18;
const PAD = 14;
const BAR = 26;

const escaped = (text) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** As a terminal of so many columns breaks it. */
function wrapped(line, columns) {
  const rows = [];
  for (let at = 0; at < line.length || rows.length === 0; at += columns)
    rows.push(line.slice(at, at + columns));
  return rows;
}

/** One `<text>` a line of output, a `<tspan>` for each row it takes, so that the line can be read back. */
function textOf(line, place, columns) {
  const kind = line.startsWith('$ ') ? ' class="typed"' : '';
  const spans = wrapped(line, columns).map((row, at) => {
    const width = row.length > 0 ? ` textLength="${(row.length * CHAR).toFixed(1)}"` : '';
    return `<tspan x="${place.x}" y="${place.y + at * LINE}"${width}>${escaped(row)}</tspan>`;
  });
  return { svg: `<text${kind}>${spans.join('')}</text>`, rows: spans.length };
}

const heightOf = ({ lines, columns }) =>
  BAR + 2 * PAD + LINE * lines.reduce((sum, line) => sum + wrapped(line, columns).length, 0);
const widthOf = ({ columns }) => Math.round(columns * CHAR + 2 * PAD);

function windowOf(frame, x, y, height) {
  const width = widthOf(frame);
  const dots = ['#ff5f57', '#febc2e', '#28c840'].map(
    (fill, at) => `<circle cx="${x + 16 + at * 18}" cy="${y + BAR / 2}" r="5" fill="${fill}"/>`,
  );
  const texts = [];
  let row = 0;
  for (const line of frame.lines) {
    const { svg, rows } = textOf(line, { x: x + PAD, y: y + BAR + PAD + 12 + row * LINE }, frame.columns);
    texts.push(svg);
    row += rows;
  }
  return [
    `<g aria-label="${escaped(frame.title)}">`,
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="8" class="window"/>`,
    ...dots,
    `<text x="${x + width / 2}" y="${y + 17}" class="title">${escaped(frame.title)}</text>`,
    ...texts,
    '</g>',
  ].join('\n');
}

/**
 * @param rows of windows, from the top; each window is `{title, columns, lines}`
 * @param title what the picture shows, for those who do not see it
 */
export function terminalSvg(rows, title) {
  const gap = 12;
  const parts = [];
  let y = 0;
  let width = 0;
  for (const frames of rows) {
    const height = Math.max(...frames.map(heightOf));
    let x = 0;
    for (const frame of frames) {
      parts.push(windowOf(frame, x, y, height));
      x += widthOf(frame) + gap;
    }
    width = Math.max(width, x - gap);
    y += height + gap;
  }
  const style = [
    'text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #d6deeb; white-space: pre; }',
    '.typed { fill: #9ece6a; }',
    '.title { fill: #8a93a6; text-anchor: middle; }',
    '.window { fill: #16191f; stroke: #303642; }',
  ].join(' ');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y - gap}" width="${width}" height="${y - gap}" role="img" aria-labelledby="what" xml:space="preserve">
<title id="what">${escaped(title)}</title>
<style>${style}</style>
${parts.join('\n')}
</svg>
`;
}
