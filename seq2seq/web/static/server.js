// Requests to the server. Every failure is a ServerError with one sentence.

/** `retryAfter` is the number of seconds after which the same request may succeed, or null where it never will. */
export class ServerError extends Error {
  constructor(sentence, retryAfter = null) {
    super(sentence);
    this.retryAfter = retryAfter;
  }
}

/** The answer to a GET, or to a POST where a body is passed. An aborted request throws its AbortError. */
export async function ask(path, body = undefined, signal = undefined) {
  const options = { signal, headers: { accept: "application/json" } };
  if (body !== undefined) {
    options.method = "POST";
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  let answer = null;
  try {
    response = await fetch(path, options);
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (response === undefined) throw new ServerError("The server does not answer.", 3);
  }
  if (response.ok && answer !== null) return answer;
  throw new ServerError(sentence(response, answer), retryAfter(response));
}

function sentence(response, answer) {
  const text =
    typeof answer?.error === "string" ? answer.error : `the server answered with status ${response.status}`;
  const upper = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(upper) ? upper : `${upper}.`;
}

function retryAfter(response) {
  if (![408, 429, 502, 503, 504].includes(response.status)) return null;
  const seconds = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 1), 60) : 3;
}
