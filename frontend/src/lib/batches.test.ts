import { describe, expect, it } from "vitest";

import { endpointOf, EXAMPLE, isUnderWay } from "./batches";

describe("batches", () => {
  it("reads the endpoint from the first line that is not empty", () => {
    expect(endpointOf(EXAMPLE)).toBe("/v1/chat/completions");
    expect(endpointOf('\n \n{"custom_id": "a", "url" : "/v1/embeddings", "body": {}}')).toBe("/v1/embeddings");
    expect(endpointOf('{"url": "/v1/audio/speech"}')).toBeNull();
    expect(endpointOf("no JSON")).toBeNull();
    expect(endpointOf("")).toBeNull();
  });

  it("reads it from a line that is cut off", () => {
    expect(endpointOf('{"custom_id": "a", "url": "/v1/images/generations", "body": {"prompt": "aaaa')).toBe("/v1/images/generations");
  });

  it("knows the states in which more is to come", () => {
    expect(["validating", "in_progress", "finalizing", "cancelling"].every((status) => isUnderWay({ status }))).toBe(true);
    expect(["completed", "failed", "expired", "cancelled"].some((status) => isUnderWay({ status }))).toBe(false);
  });
});
