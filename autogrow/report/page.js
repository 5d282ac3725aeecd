// Pointing at a figure, or stepping through it with the arrow keys, shows the check that is there. The page reads well without this.
(() => {
  const readings = JSON.parse(document.getElementById("readings").textContent);
  const shown = document.getElementById("reading");
  const [title, values, why] = shown.children;
  const figures = [...document.querySelectorAll(".figure")];
  let now = readings.length - 1;

  const show = (index) => {
    now = Math.max(0, Math.min(readings.length - 1, index));
    const reading = readings[now];
    title.textContent = reading.title;
    why.textContent = reading.reason;
    values.replaceChildren(...reading.values.flatMap(([name, value]) => {
      const pair = document.createElement("span");
      const label = document.createElement("i");
      label.textContent = name;
      pair.append(label, " " + value);
      return [pair, " "];
    }));
    for (const figure of figures) {
      const cursor = figure.querySelector(".cursor");
      cursor.hidden = false;
      cursor.style.left = reading[figure.dataset.axis] + "%";
    }
  };

  const nearest = (axis, at) => {
    let best = 0;
    readings.forEach((reading, i) => {
      if (Math.abs(reading[axis] - at) < Math.abs(readings[best][axis] - at)) best = i;
    });
    return best;
  };

  for (const figure of figures) {
    const point = (event) => {
      const plot = figure.querySelector(".plot").getBoundingClientRect();
      show(nearest(figure.dataset.axis, 100 * (event.clientX - plot.left) / plot.width));
    };
    figure.addEventListener("pointermove", point);
    figure.addEventListener("pointerdown", point);
    figure.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      show(now + step);
    });
  }
})();
