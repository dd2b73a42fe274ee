// The form above the reference: tries a key in the header that was chosen, says whether it is accepted, and keeps it
// where the page /docs looks for keys (as Swagger UI does under `persistAuthorization`).
"use strict";

const KEPT = "authorized";
const ASKED = "/api/v1/training/sessions";
const WAYS = {
  "Bearer": {
    schema: { type: "http", scheme: "bearer" },
    headers: (key) => ({ "Authorization": `Bearer ${key}` }),
  },
  "X-API-Key": {
    schema: { type: "apiKey", in: "header", name: "X-API-Key" },
    headers: (key) => ({ "X-API-Key": key }),
  },
};

const form = document.getElementById("authorize");
const [input, choice, said] = ["key", "way", "said"].map((name) => document.getElementById(`authorize-${name}`));

function say(text, state) {
  said.textContent = text;
  said.className = state;
}

// null where it is accepted, else a sentence.
async function refusal(key, way) {
  let headers;
  try {
    headers = new Headers(WAYS[way].headers(key));
  } catch {
    return "This is no key: a header cannot carry it.";
  }
  let answer;
  try {
    // Without cookies: somebody who is logged in is to hear about the key.
    answer = await fetch(ASKED, { headers, credentials: "omit", cache: "no-store" });
  } catch {
    return "The server does not answer.";
  }
  if (answer.ok) {
    return null;
  }
  const body = await answer.json().catch(() => ({}));
  return `Refused with ${answer.status}: ${body.detail || answer.statusText}`;
}

function keep(key, way) {
  try {
    localStorage.setItem(KEPT, JSON.stringify({ [way]: { name: way, schema: WAYS[way].schema, value: key } }));
    return "the page /docs uses it too, and this browser keeps it until you forget it.";
  } catch {
    return "this browser keeps nothing, so give it to the page /docs as well.";
  }
}

function kept() {
  try {
    const [way, { value }] = Object.entries(JSON.parse(localStorage.getItem(KEPT)))[0];
    return way in WAYS && typeof value === "string" ? { way, value } : null;
  } catch {
    return null;
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [key, way] = [input.value.trim(), choice.value];
  say("Asking the server ...", "");
  const why = await refusal(key, way);
  if (why) {
    say(why, "refused");
  } else {
    say(`The key is accepted as ${way}; ${keep(key, way)}`, "accepted");
  }
});

document.getElementById("authorize-forget").addEventListener("click", () => {
  try {
    localStorage.removeItem(KEPT);
  } catch {
    // It keeps nothing at all.
  }
  input.value = "";
  say("This browser knows no key any more.", "");
});

const found = kept();
if (found) {
  [input.value, choice.value] = [found.value, found.way];
  say("This browser keeps a key; the page /docs uses it.", "");
}
