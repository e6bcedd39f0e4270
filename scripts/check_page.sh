#!/usr/bin/env bash
# Looks at the pages of `snug plan --report` and of runs in headless Chromium: widths of a phone, a tablet and a desk, light and dark.
# Nothing may be wider than the window, the console must stay empty, and pointing, finding, enlarging and sorting must
# do what they say. Pictures of the page are left in FOLDER.
#   scripts/check_page.sh [PROGRAM [FOLDER]]      exit code 77: there is no Chromium
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=${1:-$root/build/release/bin/snug}
folder=${2:-$root/build/pages}

chromium=
for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then chromium=$name && break; fi
done
if [[ -z $chromium ]]; then
  echo "SKIPPED: no Chromium here (Debian: apt-get install chromium)"
  exit 77
fi

mkdir -p "$folder"
# A browser keeps files of its own; they go with the script.
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT

# What a person would do, at the end of a copy of the page. It runs in a frame of the width that is asked for (windows
# have a least width) and answers to the page around it.
read -r -d '' script <<'JS' || true
{
const answer = [];
const expect = (what, good) => { if (!good) answer.push(what); };
const floor = document.querySelector("svg.floor"), blocks = floor.querySelectorAll("rect");
const send = (target, kind, options) => target.dispatchEvent(new PointerEvent(kind, { bubbles: true, ...options }));
const scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
expect("the page scrolls sideways: " + document.documentElement.scrollWidth + " > " + innerWidth,
  document.documentElement.scrollWidth <= innerWidth);
send(blocks[5], "pointermove", {});
expect("pointing at a block names it", byId("buffer").textContent === blocks[5].textContent);
const box = document.querySelector("svg.memory").getBoundingClientRect();
send(document.querySelector("svg.memory"), "pointermove", { clientX: box.left + box.width / 2 + 0.1, clientY: box.top + 5 });
expect("pointing at a step names it", byId("step").textContent.startsWith("step " + Math.floor(steps.length / 2) + " "));
byId("find").value = "DX"; byId("find").dispatchEvent(new Event("input"));
const dim = floor.querySelectorAll("rect.dim").length;
expect("finding dims what does not match", dim > 0 && dim < blocks.length);
byId("find").value = ""; byId("find").dispatchEvent(new Event("input"));
expect("an empty search dims nothing", floor.querySelectorAll("rect.dim").length === 0);
const before = floor.getBoundingClientRect().width;
byId("larger").click();
expect("enlarging enlarges", floor.getBoundingClientRect().width > 1.7 * before);
byId("smaller").click();
expect("and back", Math.abs(floor.getBoundingClientRect().width - before) < 2);
const table = byId("layer-table"), kept = table.querySelectorAll("thead th")[5];
kept.querySelector("button").click();
const values = [...table.tBodies[0].rows].map((row) => Number(row.cells[5].dataset.v));
expect("a title sorts by its column", values.every((value, i) => i === 0 || values[i - 1] >= value));
expect("layers' names keep their words", [...table.tBodies[0].rows].every((row) => row.cells[0].offsetWidth >= 90));
const bar = document.querySelector(".times i");
expect("bars of time are seen", !bar || bar.offsetWidth >= 40);
expect("every picture is there", [...document.images].every((image) => image.complete && image.naturalWidth > 0));
if (document.querySelector(".samples")) {
  expect("curves are drawn", document.querySelectorAll(".curve .line").length >= 6);
  expect("samples have pictures", document.images.length >= 12);
}
const outside = [...document.querySelectorAll(".xs span, .ys span")].filter((label) => {
  const box = label.getBoundingClientRect();
  return box.width > 0 && !label.closest(".zoom") && (box.left < 0 || box.right > innerWidth);
});
expect("labels stay inside: " + outside.map((label) => label.textContent), outside.length === 0);
const ink = getComputedStyle(document.body).color, paper = getComputedStyle(document.body).backgroundColor;
const light = (colour) => colour.match(/[0-9]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
expect("paper and ink are of the scheme", (light(paper) > light(ink)) === (scheme === "light"));
parent.postMessage(scheme + " " + innerWidth + ": " + (answer.join("; ") || "all good"), "*");
}
JS

failed=0
make_page() {  # NAME OPTIONS…
  local name=$1 code=0
  shift
  "$program" plan "$@" --report "$folder/$name.html" >/dev/null 2>"$folder/$name.log" || code=$?
  if [[ $code -ne 0 && $code -ne 4 ]]; then
    cat "$folder/$name.log"
    exit 1
  fi
}

# A run that has ended, and one that was stopped within its first epoch.
make_runs() {
  cat >"$folder/run.toml" <<'TOML'
name = "shapes"
[data]
train = { synthetic = "shapes", count = 640 }
val = { synthetic = "shapes", count = 200 }
[model]
input = [28, 28, 3]
layers = [
  { conv = 16, kernel = 3, stride = 2, padding = "same", norm = "batch", activation = "relu" },
  { conv = 32, kernel = 3, stride = 2, padding = "same", norm = "batch", activation = "relu" },
  { global_avgpool = true },
  { dense = 10 },
]
[train]
epochs = 6
batch = 32
optimizer = { name = "sgd", lr = 0.1, momentum = 0.9 }
schedule = { name = "cosine" }
TOML
  rm -rf "$folder/run" "$folder/stopped"
  "$program" train "$folder/run.toml" --quiet --out "$folder/run"
  "$program" train "$folder/run.toml" --quiet --out "$folder/stopped" --max-steps 5
  cp "$folder/run/report.html" "$folder/run.html"
  cp "$folder/stopped/report.html" "$folder/stopped.html"
}

look() {  # NAME WIDTH SCHEME
  local picture=$folder/$1-$2-$3.png log=$folder/$1-$2-$3.log colours=1 answer
  [[ $3 == dark ]] && colours=0
  {
    head -n -2 "$folder/$1.html"
    printf '<script>\n%s\n</script>\n</body>\n</html>\n' "$script"
  } >"$folder/$1.probe.html"
  cat >"$folder/$1.frame.html" <<HTML
<!DOCTYPE html><html><head><meta name="color-scheme" content="light dark"></head><body style="margin:0">
<script>onmessage = (event) => document.documentElement.setAttribute("data-answer", event.data);</script>
<iframe src="$1.probe.html" style="border:0;width:$2px;height:1400px"></iframe></body></html>
HTML
  local -a browser=("$chromium" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$profile"
    --enable-logging=stderr --blink-settings="preferredColorScheme=$colours" --window-size="$2,1400")
  "${browser[@]}" --screenshot="$picture" "file://$folder/$1.html" >"$log" 2>&1
  answer=$("${browser[@]}" --dump-dom --virtual-time-budget=5000 "file://$folder/$1.frame.html" 2>>"$log" | grep -o 'data-answer="[^"]*"' || true)
  rm "$folder/$1.probe.html" "$folder/$1.frame.html"
  answer=${answer#data-answer=\"}
  echo "$1, $2 wide, $3: ${answer%\"}"
  if [[ $answer != "$3 $2: all good\"" ]]; then failed=1; fi
  if grep -a 'CONSOLE' "$log"; then failed=1; fi
}

make_page small "$root/configs/quickstart.toml" --batch 64
make_page refused "$root/configs/models/densenet121.toml" --batch 256 --budget 4GiB
make_runs
for page in small refused run stopped; do
  for width in 390 1024 1920; do
    for scheme in light dark; do look "$page" "$width" "$scheme"; done
  done
done
if [[ $failed -ne 0 ]]; then
  echo "FAILED: pictures and logs are in $folder"
  exit 1
fi
echo "the page holds; pictures are in $folder"
