import compression from "compression";
import express from "express";
import { rateLimit } from "express-rate-limit";
import helmet from "helmet";
import { nanoid } from "nanoid";
import { z } from "zod";

const orderSchema = z.strictObject({ article: z.enum(["rope", "lantern", "oilskin"]), pieces: z.number().int().min(1).max(99) });

export function createApp() {
  const orders = new Map();
  const app = express();
  app.use(helmet(), compression(), rateLimit({ windowMs: 60_000, limit: 100 }), express.json({ limit: "10kb" }));
  app.post("/orders", (request, response) => {
    const order = orderSchema.safeParse(request.body);
    if (!order.success) return response.status(400).json({ error: "article and pieces, please" });
    const id = nanoid();
    orders.set(id, order.data);
    return response.status(201).json({ id, ...order.data });
  });
  app.get("/orders/:id", (request, response) => {
    const order = orders.get(request.params.id);
    return order === undefined ? response.status(404).json({ error: "no such order" }) : response.json(order);
  });
  return app;
}
