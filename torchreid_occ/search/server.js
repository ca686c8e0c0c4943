// Draws a box on a picture with the pointer and enters it, in the picture's pixels, into a form.
"use strict";

for (const stage of document.querySelectorAll(".stage")) {
  const form = stage.closest("form");
  const image = stage.querySelector("img");
  const box = stage.querySelector(".box");
  const fields = ["left", "top_edge", "width", "height"].map((name) => form.elements[name]);
  let start = null;

  const clear = () => {
    box.hidden = true;
    for (const field of fields) field.value = "";
  };

  const place = (event) => {
    const shown = image.getBoundingClientRect();
    const share = (value, size) => Math.min(Math.max(value / size, 0), 1);
    return [
      share(event.clientX - shown.left, shown.width),
      share(event.clientY - shown.top, shown.height),
    ];
  };

  stage.addEventListener("pointerdown", (event) => {
    start = place(event);
    stage.setPointerCapture(event.pointerId);
    clear();
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    if (!start) return;
    const end = place(event);
    const low = [Math.min(start[0], end[0]), Math.min(start[1], end[1])];
    const size = [Math.abs(end[0] - start[0]), Math.abs(end[1] - start[1])];
    box.hidden = false;
    box.style.left = `${100 * low[0]}%`;
    box.style.top = `${100 * low[1]}%`;
    box.style.width = `${100 * size[0]}%`;
    box.style.height = `${100 * size[1]}%`;
    const [width, height] = [image.naturalWidth, image.naturalHeight];
    const values = [low[0] * width, low[1] * height, size[0] * width, size[1] * height];
    fields.forEach((field, index) => { field.value = values[index].toFixed(1); });
  });
  stage.addEventListener("pointerup", () => { start = null; });
  image.addEventListener("load", clear);
}

const video = document.querySelector("#frame");
if (video) {
  const { video: choice, frame: number } = video.elements;
  const slider = video.querySelector("input[type=range]");
  const image = video.querySelector("img");
  const status = video.querySelector(".status");

  const show = (wanted) => {
    const last = Number(choice.selectedOptions[0].dataset.frames);
    const frame = Math.min(Math.max(Math.round(Number(wanted)) || 1, 1), last);
    slider.max = number.max = last;
    slider.value = number.value = frame;
    status.textContent = "reading the frame ...";
    image.src = `/video/${choice.value}/${frame}.jpg`;
  };
  image.addEventListener("load", () => { status.textContent = ""; });
  image.addEventListener("error", () => { status.textContent = "This frame cannot be read."; });
  choice.addEventListener("change", () => show(1));
  slider.addEventListener("change", () => show(slider.value));
  number.addEventListener("change", () => show(number.value));
  for (const button of video.querySelectorAll("button[data-step]")) {
    button.addEventListener("click", () => show(Number(number.value) + Number(button.dataset.step)));
  }
  const asked = new URLSearchParams(location.search);
  if (asked.has("video")) choice.value = asked.get("video");
  show(asked.get("frame") ?? 1);
}

const picture = document.querySelector("#picture");
picture.elements.image.addEventListener("change", (event) => {
  const [file] = event.target.files;
  const stage = picture.querySelector(".stage");
  stage.hidden = !file;
  if (file) stage.querySelector("img").src = URL.createObjectURL(file);
});
