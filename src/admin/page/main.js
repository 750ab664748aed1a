// Starts the page.

import { startMonitor } from "./monitor.js";
import { startPlayground } from "./playground.js";

startPlayground();
startMonitor();
