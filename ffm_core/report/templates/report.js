(async () => {
  "use strict";
  const places = [...document.querySelectorAll(".plot")];
  if (!places.length) return;

  // Figures name the page's style variables as their colours, so a plot takes the page's scheme when it is drawn.
  const paint = (value, style) => {
    if (typeof value === "string") {
      return value.replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
    }
    if (Array.isArray(value)) return value.map((item) => paint(item, style));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, paint(item, style)]));
  };

  const load = async () => {
    const packed = atob(document.getElementById("plot-library").textContent.trim());
    const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(unpacked).text();
    document.head.append(script);
  };

  const draw = async () => {
    const style = getComputedStyle(document.documentElement);
    for (const place of places) {
      const figure = paint(JSON.parse(document.getElementById(`${place.id}-data`).textContent), style);
      if (!place.dataset.drawn) place.replaceChildren();
      await window.Plotly.react(place, figure.data, figure.layout, {
        displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false,
      });
      place.dataset.drawn = "true";
    }
  };

  try {
    await load();
    await draw();
  } catch (error) {
    for (const place of places) {
      if (!place.dataset.drawn) {
        place.dataset.drawn = "false";
        place.textContent = "This browser cannot draw the plot; the text below it holds its numbers.";
      }
    }
    console.error(error);
    return;
  }
  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    window.matchMedia(query).addEventListener("change", draw);
  }
})();
