// everything, in the order in which it is seen

startTheme();
startTables();
startChoosers();
startForest();
startPlane();
startCurves();
startGradients();
startCodebook();
startListening();
byId("start-blind")?.addEventListener("click", startBlind);
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
