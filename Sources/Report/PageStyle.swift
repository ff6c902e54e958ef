/// How a page looks, and the little that it does.
enum PageStyle {
  static let css = """
    :root { color-scheme: light; --ink: #1b1b1b; --soft: #5a5a5a; --line: #d9d9d9; --link: #0b5cad; }
    * { box-sizing: border-box; }
    body { margin: 0 auto; max-width: 1180px; padding: 1.2rem; color: var(--ink); background: white;
      font: 16px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
    h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.25rem; margin: 2rem 0 .6rem; }
    h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
    .about, .note, figcaption { color: var(--soft); font-size: .88rem; margin: .3rem 0; }
    nav { display: flex; flex-wrap: wrap; gap: .2rem .9rem; padding: .8rem 0; border-bottom: 1px solid var(--line);
      max-height: 9rem; overflow-y: auto; font-size: .88rem; }
    a { color: var(--link); }
    figure { margin: .8rem 0; } .chart { width: 100%; overflow-x: auto; }
    .chart svg { max-width: 100%; height: auto; }
    .chart.vega-embed { display: block; padding-right: 0; }
    .vega-bindings { margin: .4rem 0; font-size: .88rem; }
    .vega-bind { display: inline-block; margin-right: 1.2rem; }
    .vega-bind input { vertical-align: middle; }
    .table { overflow-x: auto; } table { border-collapse: collapse; font-size: .88rem; }
    th, td { min-width: 4.5rem; text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line);
      vertical-align: top; font-variant-numeric: tabular-nums; }
    th { font-weight: 600; } thead th { border-bottom: 2px solid var(--line); }
    pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; font-size: .82rem; line-height: 1.4; }
    summary { cursor: pointer; color: var(--soft); }
    .failed { color: #a40000; }
    @media (max-width: 640px) { body { padding: .8rem; font-size: 15px; } h1 { font-size: 1.35rem; } }
    @media print { body { max-width: none; padding: 0; font-size: 10pt; } nav, .vega-bindings, .vega-actions, details > summary { display: none; }
      section { break-inside: auto; } figure, tr { break-inside: avoid; } h2, h3 { break-after: avoid; } .table, .chart { overflow: visible; }
      .chart svg { min-width: 0 !important; }
      pre { white-space: pre-wrap; } }
    """

  static let script = """
    const charts = document.querySelectorAll(".chart");
    for (const element of charts) {
      const source = JSON.parse(document.getElementById(element.dataset.source).textContent);
      vegaEmbed(element, source, { renderer: "svg", actions: { export: true, source: true, compiled: false, editor: false } })
        .then(() => {
          const svg = element.querySelector("svg");
          // On a phone a wide chart is moved rather than shrunk until its letters cannot be read.
          svg.style.minWidth = Math.round(0.7 * svg.viewBox.baseVal.width) + "px";
          element.classList.add("drawn");
        })
        .catch((error) => { element.classList.add("failed"); element.textContent = "This chart could not be drawn: " + error; });
    }
    addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
    """
}
