"""The page itself; its script shows the tabs that the model has."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hearth</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="style.css">
<script src="script.js" defer></script>
</head>
<body>
<header><h1 id="name">Hearth</h1><p class="note" id="device"></p></header>
<noscript><p>This page needs JavaScript: switch it on.</p></noscript>
<div role="tablist" id="tabs" hidden>
<button type="button" role="tab" id="tab-fill" aria-controls="panel" hidden>Fill</button>
<button type="button" role="tab" id="tab-detect" aria-controls="panel" hidden>Detect</button>
<button type="button" role="tab" id="tab-generate" aria-controls="panel" hidden>Generate</button>
</div>
<main id="panel" role="tabpanel" hidden>
<p class="note" id="what"></p>
<label for="text">Text</label>
<textarea id="text" rows="3" spellcheck="false" autocomplete="off"></textarea>
<div id="maskable" hidden>
<p class="note">Click a word to mask it, click again to have it back; or type [MASK].</p>
<p id="words" aria-label="words to mask"></p>
</div>
<form id="settings" novalidate>
<fieldset id="ways" hidden>
<label>Method <select id="method">
<option value="greedy">greedy</option>
<option value="draw" selected>sampling</option>
<option value="beams">beam search</option>
</select></label>
<label>Tokens <input id="max_new_tokens" type="number" min="1" max="1000" value="50"></label>
<label data-way="draw">Temperature
<input id="temperature" type="number" min="0.05" max="5" step="0.05" value="0.8"></label>
<label data-way="draw">Top-p
<input id="top_p" type="number" min="0.01" max="1" step="0.01" value="0.95"></label>
<label data-way="draw">Seed <input id="seed" type="number" min="0" value="0"></label>
<label data-way="beams">Beams
<input id="num_beams" type="number" min="2" max="16" value="4"></label>
<label data-way="beams">Length penalty
<input id="length_penalty" type="number" min="-10" max="10" step="0.1" value="1"></label>
</fieldset>
<fieldset id="filling" hidden>
<label>Rounds <input id="rounds" type="number" min="1" max="100" value="10"></label>
<label>Masks to add where there are none
<input id="masks" type="number" min="1" max="1000" value="8"></label>
</fieldset>
<button id="go">Fill</button>
</form>
<p id="error" role="alert" hidden></p>
<section id="result" aria-live="polite"></section>
<label id="limit" hidden>Mark from <output id="from">0.50</output>
<input id="threshold" type="range" min="0" max="1" step="0.01" value="0.5"></label>
</main>
</body>
</html>
"""
