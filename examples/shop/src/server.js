import { pino } from "pino";
import { pinoHttp } from "pino-http";
import express from "express";
import { createApp } from "./app.js";

const logger = pino();
const server = express().use(pinoHttp({ logger }), createApp());
server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => logger.info("shop is open"));
