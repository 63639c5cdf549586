// Before the first paint: the colour theme that the reader chose here earlier. Without a choice the system's rules.
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");
  try {
    var theme = localStorage.getItem("cosgen:theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  } catch (error) { /* storage is off: the system's theme it is */ }
})();
