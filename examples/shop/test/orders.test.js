import assert from "node:assert/strict";
import request from "supertest";
import { createApp } from "../src/app.js";

describe("orders", () => {
  it("takes an order and gives it back", async () => {
    const app = createApp();
    const made = await request(app).post("/orders").send({ article: "rope", pieces: 2 }).expect(201);
    const got = await request(app).get(`/orders/${made.body.id}`).expect(200);
    assert.deepEqual(got.body, { article: "rope", pieces: 2 });
  });

  it("refuses what it does not sell", () => request(createApp()).post("/orders").send({ article: "anchor", pieces: 1 }).expect(400));
});
